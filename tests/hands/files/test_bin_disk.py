"""A disk that is full or broken costs a delete, and never the file."""

import errno
import hashlib
import resource as rlimits
from pathlib import Path

import pytest

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.files.conftest import Desk

whole_write = hand_module("files", "whole_write")
Failure = hand_module("files", "main").Failure


def test_a_delete_for_which_the_bin_has_no_room_leaves_nothing_there(desk: Desk, root: Path) -> None:
    (root / "a").touch()
    before = rlimits.getrlimit(rlimits.RLIMIT_FSIZE)
    rlimits.setrlimit(rlimits.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(Failure):
            desk.run(desk.hand.delete(FakeCall("root/a")))
    finally:
        rlimits.setrlimit(rlimits.RLIMIT_FSIZE, before)
    assert [path for path in root.rglob("*") if path.is_file()] == [root / "a"]


def test_a_folder_whose_note_a_full_disk_cut_off_stops_neither_a_start_nor_the_sweep_of_others(
    root: Path, root_fd: int, tmp_path: Path
) -> None:
    Desk(root_fd, tmp_path).close()
    noted = tmp_path / "state/folders-written"
    noted.write_bytes("root/käse".encode()[:7])
    desk = Desk(root_fd, tmp_path)
    desk.write("root/x", b"1")
    desk.close()
    (root / ".maniple-0.part").touch()
    Desk(root_fd, tmp_path).close()
    assert [path.name for path in root.iterdir()] == ["x"]
    assert noted.read_text() == ""


@pytest.mark.parametrize("days", [0, 30])
def test_a_file_that_cannot_be_read_again_while_it_is_deleted_comes_back(
    root: Path, root_fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    (root / "a").write_bytes(b"x")

    def unreadable(*_: object) -> bool:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(
        whole_write.Seen, "is_still", unreadable
    )  # a disk that breaks at this instant cannot be ordered
    desk = Desk(root_fd, tmp_path, bin_days=days)
    with pytest.raises(Failure):
        desk.run(desk.hand.delete(FakeCall("root/a"), expect=hashlib.sha256(b"x").hexdigest()))
    desk.close()
    assert (root / "a").read_bytes() == b"x"
    assert [path for path in root.rglob("*") if path.is_file()] == [root / "a"]
