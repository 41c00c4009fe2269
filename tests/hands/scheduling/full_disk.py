"""Schedules whose disk is full when their Hand starts; run by test_full_disk.py as a process, in a mount namespace.

`python -m tests.hands.scheduling.full_disk DISK`; ends with 0 when all held.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from runtime import Failure
from tests.hands.scheduling.test_failing_starts import Bus, main, until, with_scheduling
from tests.small_disk import fill

main.AGAIN_S = 0.001
FILE = "state/schedules.db"


def once(folder: Path, copy: Path | None = None) -> None:
    """A file with history. copy: as a kill leaves it, with its log beside it."""
    bus = Bus(every_ms=10)

    async def work(hand: Any) -> None:
        await until(lambda: bus.fired)
        await until(lambda: hand.store.history("", 1))
        if copy is not None:
            shutil.copytree(folder, copy)

    folder.mkdir()
    with_scheduling(folder, bus, work)


def of_version_1(path: Path) -> None:
    """Make the file what the version before wrote."""
    file = apsw.Connection(str(path))
    file.execute("ALTER TABLE pending DROP COLUMN labels; PRAGMA user_version = 1")
    file.close()


def grown(folder: Path) -> None:
    """Its file is as large as what waits in it makes it."""
    file = apsw.Connection(str(folder / FILE))
    rows = [("gone", "gone", f"k{number}", 1, 1, 0, "", 0, b"x" * 500) for number in range(200)]
    columns = "hand, name, key, planned, due, made_up, event, depth, body"
    file.executemany(f"INSERT INTO pending ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    file.close()


def later(folder: Path, filler: list[Path], *, is_read: bool) -> None:
    """A start while there is no room: it says so, begins nothing, and goes on when there is. is_read: what was kept is."""
    bus = Bus(every_ms=10)

    async def work(hand: Any) -> None:
        await asyncio.sleep(0.05)
        assert not bus.fired
        (told,) = (await hand.next(None))["problems"]
        assert "disk is full" in told, told
        assert "make room" in told, told
        assert [row["hand"] for row in (await hand.next(None))["hands"]] == ["tick"]
        if is_read:
            assert (await hand.history(None))["history"]
        else:
            with pytest.raises(Failure, match="make room"):
                await hand.history(None)
        filler.pop().unlink()
        await until(lambda: bus.fired)
        assert (await hand.next(None))["problems"] == []
        assert (await hand.history(None))["history"]

    with_scheduling(folder, bus, work)


def main_(disk: Path) -> None:
    """A first start, one of a file that is there, one after a kill, and one of a file of the version before."""
    once(disk / "there", disk / "killed")
    once(disk / "before")
    for name in ("there", "before"):
        grown(disk / name)
    of_version_1(disk / "before" / FILE)
    for folder in ("first", "first/state", "first/scratch"):  # the kernel makes them
        (disk / folder).mkdir()
    for name in ("first", "before", "there", "killed"):
        later(disk / name, [fill(disk)], is_read=name in ("there", "killed"))
    file = apsw.Connection(str(disk / "before" / FILE))
    assert file.execute("PRAGMA user_version").fetchone() == (2,)
    assert len(file.execute("SELECT * FROM history").fetchall()) > 1
    assert not list(disk.glob("*/state/*damaged*"))


if __name__ == "__main__":
    main_(Path(sys.argv[1]))
