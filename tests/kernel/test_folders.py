"""Folders that somebody hostile has filled are measured and removed, whatever their depth, modes and entries."""

import ctypes
import errno
import mmap
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel import descriptors, folders
from kernel.process.unlinked import measure_unlinked
from tests.rights import IS_WHOLE_ROOT

DEPTH = 1500
MOST = 1 << 40


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "filled").mkdir()
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def deep(tmp_path: Path, parent: int) -> Iterator[int]:
    """A file of a mebibyte below many folders, removed in the end."""
    before = os.getcwd()
    try:
        os.chdir(tmp_path / "filled")
        for _ in range(DEPTH):
            os.mkdir("d")
            os.chdir("d")
        Path("file").write_bytes(b"x" * (1 << 20))
    finally:
        os.chdir(before)
    descriptor = os.open("filled", os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)
    yield descriptor
    os.close(descriptor)
    if (tmp_path / "filled").exists():
        folders.remove("filled", parent)


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_lies_deep_counts(deep: int, limits: tuple[int, int]) -> None:
    if limits[1] < 2 * DEPTH + 100:
        pytest.skip("this machine lets a process have few files open")
    descriptors.allow_all()
    assert 1 << 20 <= folders.measure(deep, MOST) < MOST


def test_what_is_empty_counts_too(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    empty = folders.measure(folder, MOST)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert folders.measure(folder, MOST) >= empty + 3 * 4096
    os.close(folder)


def test_what_is_deeper_than_can_be_looked_into_counts_as_too_much(deep: int, limits: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    assert folders.measure(deep, MOST) > MOST


def test_a_deep_folder_is_removed_with_few_descriptors(
    deep: int, parent: int, limits: tuple[int, int], tmp_path: Path
) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    folders.remove("filled", parent)
    assert not (tmp_path / "filled").exists()


def test_closed_folders_and_links_are_removed_and_nothing_that_links_lead_to(parent: int, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o755)
    (tmp_path / "kept" / "file").touch()
    for place in (tmp_path / "filled", tmp_path / "filled" / "a", tmp_path / "filled" / "a" / "b"):
        place.mkdir(exist_ok=True)
        (place / "link").symlink_to(tmp_path / "kept")
        (place / "file").touch(mode=0)
        os.mkfifo(place / "pipe")
    (tmp_path / "filled" / "a" / "b").chmod(0)
    (tmp_path / "filled" / "a").chmod(0)
    folders.remove("filled", parent)
    assert not (tmp_path / "filled").exists()
    assert (tmp_path / "kept" / "file").exists()
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o755


def test_a_link_that_takes_a_folders_place_meanwhile_changes_nothing_elsewhere(
    parent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who works in a folder while it is removed could lead the template, which is root, out of it."""
    (outside := tmp_path / "outside").touch(mode=0o600)
    os.mkdir("inner", dir_fd=parent)
    found = os.open

    def swapped(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = found(path, flags, mode, dir_fd=dir_fd)
        if path == "inner" and flags & os.O_PATH:
            os.rename("inner", "aside", src_dir_fd=parent, dst_dir_fd=parent)
            os.symlink(outside, "inner", dir_fd=parent)
        return descriptor

    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(NotADirectoryError):
        folders.remove("inner", parent)
    assert outside.stat().st_mode & 0o777 == 0o600


def _rename_over(path: Path) -> None:
    path.with_name("other").touch()
    path.with_name("other").rename(path)


def _unlink_both(path: Path) -> None:
    os.link(path, path.with_name("other"))
    path.unlink()
    path.with_name("other").unlink()


@pytest.mark.skipif(
    not IS_WHOLE_ROOT, reason="who has not every right of root's may not look at what processes have mapped"
)
@pytest.mark.parametrize("lose", [Path.unlink, _rename_over, _unlink_both])
@pytest.mark.parametrize("name", ["file", "odd\nname\\ (deleted) x"])
@pytest.mark.parametrize("at", [0, 0x1000000], ids=["anywhere", "low"])
def test_a_file_that_is_only_mapped_counts_once_it_has_no_name(
    tmp_path: Path, lose: Callable[[Path], None], name: str, at: int
) -> None:
    path, size = tmp_path / name, 1 << 20
    path.write_bytes(b"x" * size)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    with path.open("rb+") as file:
        mapped = libc.mmap(at, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    assert mapped == at or not at
    try:
        before = measure_unlinked([os.getpid()], tmp_path.stat().st_dev)
        lose(path)
        assert measure_unlinked([os.getpid()], tmp_path.stat().st_dev) >= before + size
    finally:
        libc.munmap(mapped, size)


def test_what_is_swept_lies_in_a_folder_of_its_own_when_it_is_removed(
    parent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Millions of names that were looked for in it are then forgotten, for seconds, in which nothing is made beside it."""
    places, remove = list[str](), folders.remove

    def note(place: str, above: int) -> None:
        places.append(place)
        remove(place, above)

    monkeypatch.setattr(folders, "remove", note)
    (tmp_path / "filled").chmod(0)
    folders.sweep(["filled"], parent)
    assert (places[0].count("/"), places[0].endswith("/filled"), os.listdir(parent)) == (1, True, [])


def test_a_sweep_goes_on_after_what_is_gone_and_tells_what_cannot_be_removed(parent: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        folders.sweep(["gone", "file", "filled"], parent)
    assert os.listdir(parent) == ["file"]


def test_on_a_full_disk_folders_are_swept_where_they_are(parent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "mkdir", full)
    folders.sweep(["filled"], parent)
    assert os.listdir(parent) == []
