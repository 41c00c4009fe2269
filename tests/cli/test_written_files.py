"""What a command says that it has written is there after a power cut: the file, and its name in its folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.cli import keyfile, package, streams
from kernel.home import Home


def _key(file: Path) -> None:
    keyfile.write_pair(str(file), "ann")


def _streamed(file: Path) -> None:
    with streams.create(str(file)) as take:
        take(b"a memory")


def _whole(file: Path) -> None:
    package.write(str(file), b"a seal")


def _secrets(file: Path) -> None:
    home = object.__new__(Home)  # of which nothing but its place matters here
    home.path = str(file.parents[1])
    home.keep_secrets(file.name, {"token": "x"})


@pytest.mark.parametrize("made", [_key, _streamed, _whole, _secrets])
def test_a_new_file_is_on_disk_with_its_name(
    made: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power cannot be cut here, so it is the system call that is looked at, which is made all the same."""
    folder = tmp_path / "keys"
    folder.mkdir()
    synced: list[tuple[int, list[str]]] = []

    def watched(call: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            synced.append((os.fstat(descriptor).st_ino, os.listdir(folder)))
            call(descriptor)

        return sync

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    file = folder / "h-new.secrets"
    made(file)
    inodes = [inode for inode, _ in synced]
    assert file.stat().st_ino in inodes
    assert synced[-1][0] == folder.stat().st_ino
    assert file.name in synced[-1][1]
