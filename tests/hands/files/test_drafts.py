"""A draft is locked from its birth on, and one that cannot be leaves nothing behind."""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hands.doubles import hand_module

whole_write = hand_module("files", "whole_write")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_a_draft_that_a_sweep_finds_before_it_is_locked_gives_way_to_another(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, swept = fcntl.flock, list[Path]()

    def find_it_locked(fd: int, operation: int) -> None:
        if swept:
            lock(fd, operation)
            return
        swept.extend(tmp_path.iterdir())
        sweeping = os.open(swept[0], os.O_RDONLY)
        try:
            lock(sweeping, operation)
            lock(fd, operation)
        finally:
            swept[0].unlink()
            os.close(sweeping)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", find_it_locked)
        draft = whole_write.Draft(folder)
    assert [tmp_path / draft.name] == list(tmp_path.iterdir()) != swept
    draft.drop()


def test_a_file_system_without_locks_keeps_nothing_of_a_write(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    opened = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        with pytest.raises(OSError, match="No locks"):
            whole_write.Draft(folder)
    assert len(os.listdir("/proc/self/fd")) == len(opened)
    assert list(tmp_path.iterdir()) == []
