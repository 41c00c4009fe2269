"""To-do lists whose disk is full when their Hand starts; run by test_full_disk.py as a process, in a mount namespace.

`python -m tests.hands.plan.full_disk DISK`; ends with 0 when all held.
"""

import shutil
import sys
from pathlib import Path

from tests.hands.plan.test_plan import Desk, states
from tests.small_disk import fill


def main(disk: Path) -> None:
    """A first start and a later one while there is no room, each until there is."""
    (disk / "later").mkdir()
    desk = Desk(disk / "later")
    desk.ask("set", steps=["kept"])
    (disk / "killed").mkdir()
    shutil.copytree(disk / "later/state", disk / "killed/state")  # its log still lies beside it
    desk.run(desk.hand.stop())
    for folder in ("first", "first/state", "first/scratch", "killed/scratch"):  # the kernel makes them
        (disk / folder).mkdir()
    filler = fill(disk)
    desks = [Desk(disk / name) for name in ("first", "later", "killed")]
    first, *others = desks
    assert first.ask("all", "")["plans"] == []
    assert first.fails("show") == "not found"
    assert first.ask("remove")["removed"] is False
    for other in others:
        assert states(other.ask("show")) == ["todo"]
        assert len(other.ask("all", "")["plans"]) == 1  # type: ignore[arg-type]
    for one in desks:
        assert one.fails("set", steps=["x" * 500] * 100, name="new") == "disk"
    filler.unlink()
    for one in desks:
        assert states(one.ask("set", steps=["a", "b"], name="new")) == ["todo"] * 2
        one.run(one.hand.stop())
    kept = [len(Desk(disk / name).ask("all", "")["plans"]) for name in ("first", "later", "killed")]  # type: ignore[arg-type]
    assert kept == [1, 2, 2], kept


if __name__ == "__main__":
    main(Path(sys.argv[1]))
