"""Finds the end of the log before the kernel's first act, from a snapshot if there is one, and verifies it (acts).

A crash can leave the last bytes of the last file unfinished: a line without its end, or zeros where room was allocated
but never written. Such a torn tail was never reported as durable; it is cut off and reported, unless a checkpoint
covers it. Anything else that does not verify raises LogDamaged, and is left exactly as it is.

A snapshot counts only if the log's entry at its size names the digest of its state; then the entries before it are not
read here. Deleting it loses nothing, and `maniple audit verify` reads everything.

Each line is read once: its entry is passed on before the next checkpoint is compared. Use the results only if recover()
returns.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from kernel.errors import LogDamaged
from wire.checkpoint import open_checkpoints
from wire.entries import LINE_MAX, Chain, Entry, decode
from wire.errors import CodecError, LogInvalid, NoteMalformed, SignatureInvalid
from wire.merkle import Frontier
from wire.signing import VerifyKey
from wire.snapshot import Snapshot, open_snapshot
from wire.verify import verify_lines


class Recovered(Struct, kw_only=True):
    """The end of the log. cut: the bytes of a torn tail that were cut off."""

    chain: Chain
    cut: int


class Lines:
    """The whole lines of a log from a place on, each with its newline. segment, offset: the place after the last one read."""

    def __init__(self, folder: Path, segment: int = 0, offset: int = 0) -> None:
        self.segment, self.offset = segment, offset
        self._folder, self._last = folder, len(segments(folder)) - 1

    def __iter__(self) -> Iterator[bytes]:
        while self.segment <= self._last:
            with segment_path(self._folder, self.segment).open("rb") as file:
                file.seek(self.offset)
                while line := file.readline(LINE_MAX + 2):
                    if line[-1:] != b"\n" or b"\0" in line:
                        return
                    self.offset += len(line)
                    yield line
            if self.segment == self._last:
                return
            self.segment, self.offset = self.segment + 1, 0


def read_start(folder: Path, key: VerifyKey, origin: str) -> Snapshot:
    """Return the snapshot to start from; if there is none that is valid, the log's beginning. Raises LogDamaged."""
    beginning = Snapshot(origin=origin, size=0)
    try:
        snapshot = open_snapshot((folder / "snapshot").read_bytes(), key)
        entry = decode(next(iter(Lines(folder, snapshot.segment, snapshot.offset)), b"")[:-1])
    except (FileNotFoundError, SignatureInvalid, CodecError):
        return beginning
    except OSError as error:
        raise LogDamaged(folder, str(error)) from error
    digest = sha256(snapshot.state or b"").hexdigest()
    is_named = entry.kind == "snapshot" and entry.detail.get("digest") == digest
    return snapshot if is_named and (entry.seq, snapshot.origin) == (snapshot.size, origin) else beginning


def recover(folder: Path, start: Snapshot, take: Callable[[Entry], object], *, key: VerifyKey) -> Recovered:
    """Verify the log from `start` on, and cut off a torn tail. Raises LogDamaged.

    take: is called with each entry. What it raises is raised when all is verified, since a forged entry may have caused it.
    """
    raised: list[Exception] = []

    def take_entry(entry: Entry) -> None:
        if not raised:
            try:
                take(entry)
            except Exception as error:  # noqa: BLE001 - a forged entry may be anything
                raised.append(error)

    try:
        notes = read_notes(folder, start.origin, history=start.size == 0)
        lines = Lines(folder, start.segment, start.offset)
        log = verify_lines(
            lines, checkpoints=list(open_checkpoints(notes, [key], start.origin)), seq=start.size, prev=start.prev,
            frontier=Frontier.from_list(start.size, start.frontier), each=take_entry,
        )  # fmt: skip
        if log.size and not notes:
            raise LogInvalid(0, "it has no checkpoint at all")
        if raised:
            raise raised[0]
        cut = _cut_torn_tail(folder, lines)
    except (LogInvalid, NoteMalformed, SignatureInvalid, OSError) as error:
        raise LogDamaged(folder, str(error)) from error
    return Recovered(chain=Chain(seq=log.size, prev=log.prev, frontier=log.frontier), cut=cut)


def segment_path(folder: Path, number: int) -> Path:
    """Return the path of the file of entries with this number."""
    return folder / "entries" / f"{number:06d}.jsonl"


def segments(folder: Path) -> list[Path]:
    """Return the files of entries, in order. Raises LogDamaged if one between them is missing."""
    found = sorted((folder / "entries").glob("*.jsonl"))
    for number, path in enumerate(found):
        if path != segment_path(folder, number):
            raise LogDamaged(folder, f"the file before {path} is missing")
    return found


def read_notes(folder: Path, origin: str, *, history: bool = True) -> list[str]:
    """Read the newest checkpoint and, with history, the older ones that were kept. Empty if there are none."""
    older = rf"(?m)^{re.escape(origin)}\n\d+\n\S+\n\n— \S+ \S{{92}}\n"
    notes = list[str]()
    for name, pattern in (("checkpoint", r"(?s)\A.*"), ("checkpoints", older))[: 1 + history]:
        with suppress(FileNotFoundError):  # Path.exists(), from Python 3.14 on, takes any error for this one
            notes += re.findall(pattern, (folder / name).read_bytes().decode("utf-8", "replace"))
    return notes


def _cut_torn_tail(folder: Path, lines: Lines) -> int:
    """Cut off what follows the last whole line, and sync the file. Returns the number of bytes cut off."""
    path = segment_path(folder, lines.segment)
    if segment_path(folder, lines.segment + 1).exists():
        raise LogDamaged(folder, f"{path} is torn at byte {lines.offset}, although another file follows it")
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size - lines.offset
        if size > 0:
            file.truncate(lines.offset)
        os.fsync(file.fileno())
    return size
