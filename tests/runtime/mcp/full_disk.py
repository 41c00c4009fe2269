"""A login on a disk that runs full (acts; a process of its own, with a small disk: tests/small_disk.py)."""

import sys
from pathlib import Path

import pytest

from runtime.errors import Failure
from runtime.mcp.kept import FILE
from tests.runtime.mcp.side import Side, run
from tests.small_disk import fill
from tests.system.authority import Shop, running


def main(disk: Path) -> None:
    """Another login says that it could not be kept, and the one before lies there whole, and is what the next start has."""
    folder = disk / "state"
    folder.mkdir()
    with running() as shop:
        first_on_full(folder, disk, shop)
        run(Side(folder, shop).log_in())
        access = shop.given[-2]
        before = (folder / FILE).read_bytes()
        shop.valid.clear()
        shop.ways["busy"] = 503
        side = Side(folder, shop)
        assert run(side.call()) == 401
        del shop.ways["busy"]
        filler, before = fill(disk), (folder / FILE).read_bytes()
        assert "No space left on device" in not_kept(side)
        assert [path.name for path in folder.iterdir()] == [FILE]
        assert (folder / FILE).read_bytes() == before
        assert run(side.call()) == 200  # as long as this process lives
        shop.valid = {access}
        assert run(Side(folder, shop).call()) == 200
        filler.unlink()
        shop.valid.clear()
        assert run(Side(folder, shop).call()) == 200
        assert (folder / FILE).read_bytes() != before
        fill(disk)
        assert run(Side(folder, shop).login.forget()) == (True, "")
        assert not list(folder.iterdir())


def first_on_full(folder: Path, disk: Path, shop: Shop) -> None:
    """Where nothing lay before, nothing of it lies there."""
    filler = fill(disk)
    assert "No space left on device" in not_kept(Side(folder, shop))
    assert not list(folder.iterdir())
    filler.unlink()
    assert run(Side(folder, shop).call()) == 401


def not_kept(side: Side) -> str:
    """What a person is told who logs in all the same."""
    with pytest.raises(Failure) as caught:
        run(side.log_in())
    assert caught.value.code == "login"
    return str(caught.value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
