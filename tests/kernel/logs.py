"""A log for tests: real files, a real eventfd, a clock that counts."""

import itertools
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kernel.record.log import Log
from kernel.record.recovery import Lines, read_notes, read_start, recover
from wire.checkpoint import open_checkpoint, open_checkpoints
from wire.entries import Chain, Entry, decode
from wire.signing import SigningKey
from wire.verify import Verified, verify_lines

ORIGIN = "test.example/log"
KEY = SigningKey(ORIGIN, bytes(range(32)))
PATIENCE = 60.0
"""Seconds after which a condition that should come true has failed to."""


class Opened:
    """The log below a home, recovered and written on."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "log"
        self.recovered = start(self.folder)
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        clock = itertools.count(1_700_000_000_000_000, 7).__next__
        self.log = Log(
            self.folder, key=KEY, origin=ORIGIN, chain=self.recovered.chain, wake=self.wake, clock=lambda: clock()
        )

    def note(self, text: str = "") -> int:
        """Append one entry."""
        return self.log.append("note", principal="kernel", why=text)

    def until(self, condition: Callable[[], object]) -> None:
        """Serve the log, as the kernel's loop does, until the condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"state {self.log.state!r} {self.log.why!r}, durable {self.log.durable}"
            select.select([self.wake], [], [], 0.02)
            self.log.run_due_acts()

    def synced(self) -> None:
        """Wait until all that was appended is on disk."""
        self.log.after(self.log.size - 1, lambda: None)
        self.until(lambda: self.log.durable == self.log.size)

    def covered(self) -> bool:
        """Whether the newest checkpoint covers all entries."""
        return signed(self.folder) == self.log.size

    def close(self) -> None:
        """Close the log in order."""
        self.log.close()
        os.close(self.wake)


class Found(NamedTuple):
    """What a start of the kernel finds: the log's end, the state that it begins with, and the entries after that."""

    chain: Chain
    cut: int
    state: bytes | None
    entries: list[Entry]


def start(folder: Path) -> Found:
    """As the kernel starts."""
    begin, entries = read_start(folder, KEY.verify_key, ORIGIN), list[Entry]()
    found = recover(folder, begin, entries.append, key=KEY.verify_key)
    return Found(found.chain, found.cut, begin.state, entries)


def signed(folder: Path) -> int:
    """How many entries the newest checkpoint covers; -1 when there is none."""
    notes = read_notes(folder, ORIGIN, history=False)
    return open_checkpoint(notes[0], [KEY.verify_key], ORIGIN).size if notes else -1


def verified(folder: Path) -> Verified:
    """Verify all of a log, as `maniple audit verify` does."""
    own = open_checkpoints(read_notes(folder, ORIGIN), [KEY.verify_key], ORIGIN)
    return verify_lines(Lines(folder), checkpoints=own)


def entries(folder: Path) -> list[Entry]:
    """All entries of a log."""
    return [decode(line[:-1]) for line in Lines(folder)]


def written(home: Path, count: int) -> Path:
    """A log of so many entries that was closed in order; its folder."""
    opened = Opened(home)
    for number in range(count):
        opened.note(f"entry {number}")
    opened.close()
    return home / "log"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
