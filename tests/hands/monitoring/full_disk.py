"""A history whose disk is full when its Hand starts; run by test_full_disk.py as a process, in a mount namespace.

`python -m tests.hands.monitoring.full_disk DISK`; ends with 0 when all held.
"""

import asyncio
import mmap
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import Failure
from tests.hands.monitoring.running import running
from tests.hands.monitoring.world import World
from tests.small_disk import fill

SILENCE = {"lasts": 3600.0, "reason": "x" * 200}


async def once(folder: Path, copy: Path, patch: pytest.MonkeyPatch) -> None:
    """A history of some rounds. copy: as a kill leaves it, with its log beside it."""
    async with running(World(), folder, patch) as it:
        await it.rounds(3)
        shutil.copytree(folder, copy)


async def later(folder: Path, room: Callable[[], None], patch: pytest.MonkeyPatch, *, is_read: bool) -> None:
    """A start while there is no room: it says so, and goes on when there is. is_read: what was kept is."""
    async with running(World(), folder, patch) as it:
        told = ""
        for _ in range(200):  # there may be room for a few rounds in a file that is there
            await it.rounds(1)
            told = str((await it.ask("report"))["text"])
            if "disk is full" in told:
                break
        assert "disk is full; make room" in told, told
        assert (await it.ask("check", "machine"))["state"] == "ok"
        if is_read:
            assert (await it.ask("history", "machine"))["metrics"]
            await it.ask("alerts")
        else:
            for method, resource in (("history", "machine"), ("alerts", "")):
                with pytest.raises(Failure, match="make room"):
                    await it.ask(method, resource)
        with pytest.raises(Failure, match="make room") as failed:
            for number in range(200):
                await it.ask("silence", "machine", check=f"c{number}", **SILENCE)
        assert failed.value.code == "disk"
        room()
        if is_read:
            await it.rounds(1)
        assert "disk is full" not in str((await it.ask("report"))["text"])
        await it.rounds(1)
        assert (await it.ask("history", "machine"))["metrics"]
        await it.ask("silence", "machine", **SILENCE)
    async with running(World(), folder, patch) as it:
        assert (await it.ask("alerts"))["silences"]


async def damaged(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A start with a damaged history: it is told, whether there is room to write it down or not."""
    async with running(World(), folder, patch) as it:
        assert "the history was damaged" in str((await it.ask("report"))["text"])
        await it.rounds(1)


def with_room(disk: Path, pages: int, patch: pytest.MonkeyPatch) -> None:
    """The same on a disk with room for so many pages."""
    folder = disk / "damaged"
    folder.mkdir()
    (folder / "history.db").write_bytes(b"no history" * 1_000)
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - pages * mmap.PAGESIZE)
    asyncio.run(asyncio.wait_for(damaged(folder, patch), 60))
    filler.unlink()
    shutil.rmtree(folder)


def main(disk: Path) -> None:
    """A first start, one of a history that is there, one after a kill, and some of a damaged one."""
    names = ("first", "there", "killed")
    for name in ("first", "there"):
        (disk / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(once(disk / "there", disk / "killed", patch))
        for name in names:
            asyncio.run(asyncio.wait_for(later(disk / name, fill(disk).unlink, patch, is_read=name != "first"), 60))
        assert not list(disk.glob("*/*damaged*"))
        for pages in range(0, 48, 2):
            with_room(disk, pages, patch)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
