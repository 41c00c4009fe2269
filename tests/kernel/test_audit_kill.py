"""A writer killed from outside at instants chosen by seed: what it said was on disk is there, in order, and verifies.

The writer is a process of its own that recovers the log, writes entries in bursts, now and then keeps a key, takes a
snapshot or begins another file, and tells each entry that has come to disk over a pipe. The instant of the kill is so
many entries told and so many microseconds later.
"""

import itertools
import os
import random
import select
import signal
from functools import partial
from pathlib import Path

import pytest

from kernel.record import log as audit
from tests.kernel.logs import Opened, entries, start, verified


def _write_for_ever(home: Path, pipe: int, life: int, seed: int) -> None:
    """The writer. Each line that it tells: seq, a space, the entry's text."""
    audit.__dict__["SEGMENT"] = 30_000
    audit.__dict__["CHECKPOINT_AFTER"] = 0.005
    chance = random.Random(seed)
    opened = Opened(home)
    opened.log.keep_key(f"r-{life}", seed.to_bytes(32, "big"))
    for number in itertools.count():
        for burst in range(chance.randrange(1, 12)):
            text = f"{life}/{number}/{burst} {'x' * chance.randrange(300)}"
            seq = opened.note(text)
            if chance.random() < 0.7:
                opened.log.after(seq, partial(_tell, pipe, f"{seq} {text}\n"))
        if chance.random() < 0.05:
            opened.log.snapshot(b"state of %d" % opened.log.size)
        select.select([opened.wake], [], [], chance.choice((0, 0, 0.002)))
        opened.log.run_due_acts()


def _tell(pipe: int, line: str) -> None:
    os.write(pipe, line.encode())


def _live_and_die(home: Path, life: int, seed: int) -> list[tuple[int, str]]:
    """One writer from its start to its death; what it told."""
    chance = random.Random(seed)
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ours)
            _write_for_ever(home, theirs, life, seed)
        finally:
            os._exit(1)
    os.close(theirs)
    told = b""
    wanted = chance.randrange(60)
    while told.count(b"\n") < wanted:
        told += (more := os.read(ours, 1 << 16))
        assert more, "the writer died by itself"
    select.select([], [], [], chance.random() * 0.02)
    os.kill(pid, signal.SIGKILL)
    while more := os.read(ours, 1 << 16):
        told += more
    os.close(ours)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    whole = told[: told.rindex(b"\n")].decode().split("\n") if b"\n" in told else []
    return [(int(seq), text) for seq, text in (line.split(" ", 1) for line in whole)]


def _survives(home: Path, kills: int, seed: int) -> None:
    told: list[tuple[int, str]] = []
    snapshots = 0
    for life in range(kills):
        told += _live_and_die(home, life, seed * 1_000_000 + life)
        found = start(home / "log")
        snapshots += found.state is not None
        assert found.chain.seq > max((seq for seq, _ in told), default=-1)
        assert found.chain.seq == verified(home / "log").size
    texts = [entry.why for entry in entries(home / "log")]
    assert [texts[seq] for seq, _ in told] == [text for _, text in told]
    keys = (home / "journal" / "keys" / "000000.jsonl").read_text()
    for name in {text.split("/")[0] for text in texts if "/" in text}:
        assert f'"run":"r-{name}","key":' in keys
    assert snapshots
    assert len(told) > 20 * kills


def test_whatever_instant_the_writer_is_killed_at_no_acknowledged_entry_is_lost(tmp_path: Path) -> None:
    _survives(tmp_path, kills=30, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 42))
def test_thousands_of_kills_lose_nothing(tmp_path: Path, seed: int) -> None:
    _survives(tmp_path, kills=75, seed=seed)
