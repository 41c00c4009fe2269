"""The log on a small disk of its own that fills up and empties again; run by test_audit_full_disk.py as a process.

`python -m tests.kernel.full_disk SCENARIO DISK`, in a mount namespace of its own; DISK is an empty mounted file system.
Ends with 0 when all held.
"""

import os
import signal
import sys
from pathlib import Path

from kernel.record.log import LAST, RESERVE, LogState
from kernel.record.recovery import segments
from tests.kernel.logs import Opened, entries, start, verified
from tests.small_disk import fill
from wire.entries import Said

TEXT = "x" * 2000


def _reserved(opened: Opened) -> None:
    path = segments(opened.folder)[-1]
    opened.until(lambda: path.stat().st_blocks * 512 >= RESERVE)


def _use_until(opened: Opened, state: LogState) -> int:
    """Write entries, each of which comes to disk, until the state is reached; how many bytes they took."""
    before = segments(opened.folder)[-1].stat().st_size
    while opened.log.state < state:
        for _ in range(20):
            opened.note(TEXT)
        opened.synced()
    return segments(opened.folder)[-1].stat().st_size - before


def _settled(opened: Opened) -> None:
    opened.until(lambda: opened.log.state is LogState.OK and opened.log.durable == opened.log.size)
    opened.note("and on it goes")
    opened.synced()
    opened.close()
    assert [entry.seq for entry in entries(opened.folder)] == list(range(opened.log.size))
    assert verified(opened.folder).signed == opened.log.size


def whole_way(disk: Path) -> None:
    """OK, FULL within the reserve, SPENT, not a byte left, space again, OK."""
    opened = Opened(disk)
    opened.note("first")
    opened.synced()
    _reserved(opened)
    filler = fill(disk)
    assert opened.log.state is LogState.OK
    taken = _use_until(opened, LogState.FULL)
    assert "No space left" in opened.log.why
    taken += _use_until(opened, LogState.SPENT)
    assert RESERVE - 2 * LAST < taken <= RESERVE
    opened.note("what the operator does")
    opened.synced()
    done: list[int] = []
    while opened.log.why.startswith("the log has no reserve"):
        opened.log.after(opened.note(TEXT * 50), lambda: done.append(1))
        opened.until(lambda: opened.log.durable == opened.log.size or "cannot be written" in opened.log.why)
    lost, waiting = opened.log.durable, len(done)
    assert opened.log.durable < opened.log.size
    filler.unlink()
    opened.until(lambda: opened.log.state is LogState.OK)
    assert opened.log.durable > lost
    assert len(done) > waiting
    _settled(opened)


def at_speed(disk: Path) -> None:
    """Who writes faster than the disk takes it still finds SPENT in time: the operator's last bytes are there."""
    opened = Opened(disk)
    opened.note("first")
    opened.synced()
    _reserved(opened)
    filler = fill(disk)
    _use_until(opened, LogState.FULL)
    secret, said = (b"key", b"body"), Said(principal="r-1", why=TEXT)
    while opened.log.state is not LogState.SPENT:
        opened.log.defer("note", "arguments", secret, said.copy)
    for _ in range(LAST // len(TEXT) // 2):
        opened.note(TEXT)
    opened.synced()
    assert opened.log.why.startswith("the log has no reserve")
    filler.unlink()
    _settled(opened)


def restarts(disk: Path) -> None:
    """The reserve is still there for a kernel that stops, or is killed, and starts again on the full disk."""
    opened = Opened(disk)
    opened.note("first")
    opened.synced()
    _reserved(opened)
    filler = fill(disk)
    opened.close()
    opened = Opened(disk)
    taken = _use_until(opened, LogState.FULL)
    size = opened.log.size
    opened.close()
    if (pid := os.fork()) == 0:
        opened = Opened(disk)
        for _ in range(1000):
            opened.note(TEXT)
        opened.synced()
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    opened = Opened(disk)
    assert opened.recovered.chain.seq == size + 1000
    taken += 1000 * 2000 + _use_until(opened, LogState.SPENT)
    assert taken > RESERVE * 3 // 4
    filler.unlink()
    _settled(opened)


def starts_full(disk: Path) -> None:
    """A home's first start on a disk without room ends in SPENT and comes to life when there is some."""
    (disk / "log" / "entries").mkdir(parents=True)
    (disk / "journal" / "keys").mkdir(parents=True)
    (disk / "journal" / "runs").mkdir()
    for path in ("log/entries/000000.jsonl", "journal/keys/000000.jsonl", "journal/reserve"):
        (disk / path).touch()
    filler = fill(disk)
    opened = Opened(disk)
    opened.note("first")
    opened.until(lambda: opened.log.state is LogState.SPENT)
    assert opened.log.durable == 0
    filler.unlink()
    _settled(opened)
    assert start(disk / "log").chain.seq == 2


SCENARIOS = {scenario.__name__: scenario for scenario in (whole_way, at_speed, restarts, starts_full)}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
