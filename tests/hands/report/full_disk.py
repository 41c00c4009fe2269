"""Artefacts whose disk is full when their Hand starts; run by test_full_disk.py as a process, in a mount namespace.

`python -m tests.hands.report.full_disk DISK`; ends with 0 when all held.
"""

import shutil
import sys
from pathlib import Path

import pytest

from tests.hands.report.test_report import Desk, main
from tests.small_disk import fill

LARGE = b"x" * 65_536


def refuses(desk: Desk) -> None:
    """What is handed in ends in `disk`."""
    for chunk in (LARGE, b""):  # no room for the bytes; for the row
        with pytest.raises(main.Failure) as failed:
            for number in range(100):
                desk.put(chunk, title=f"{number} {'t' * 250}")
        assert failed.value.code == "disk"


def whole_way(disk: Path) -> None:
    """A first start and a later one while there is no room, each until there is."""
    (disk / "later").mkdir()
    desk = Desk(disk / "later")
    kept = desk.put(LARGE, title="kept")["id"]
    (disk / "killed").mkdir()
    shutil.copytree(disk / "later/state", disk / "killed/state")  # its log still lies beside it
    (disk / "killed/state/bytes/0123.part").write_bytes(b"half")
    desk.run(desk.hand.stop())
    for folder in ("first", "first/state", "first/scratch", "killed/scratch"):  # the kernel makes them
        (disk / folder).mkdir()
    filler = fill(disk)
    desks = [Desk(disk / name) for name in ("first", "later", "killed")]
    first, *others = desks
    assert first.ask("all", "")["artifacts"] == []
    assert first.ask("remove", id="0" * 24) == {"removed": False}
    for other in others:
        assert other.read(kept)[0] == LARGE
        assert len(other.ask("all", "")["artifacts"]) == 1  # type: ignore[arg-type]
    for one in desks:
        refuses(one)
    filler.unlink()
    for one in desks:
        new = one.put(LARGE, title="new")["id"]
        assert one.read(new)[0] == LARGE
        rows = len(one.ask("all", "")["artifacts"])  # type: ignore[arg-type]
        assert one.files == rows, (one.files, rows)
        one.run(one.hand.stop())
        again = Desk(one.folder)
        assert again.read(new)[0] == LARGE
        again.run(again.hand.stop())


if __name__ == "__main__":
    whole_way(Path(sys.argv[1]))
