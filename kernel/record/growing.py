"""Append-only files with allocated room behind their end, and atomic replacement of files (acts; on the log's thread).

Room is allocated without changing the file's size (fallocate, KEEP_SIZE), so readers never see it and no other program
can take it: a write into it succeeds on a full disk. It outlives the process. Every function may raise OSError and may
then be called again.
"""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

_KEEP_SIZE: Final = 1
_OWN: Final = 64 * 1024  # an upper bound for blocks of a file that hold the file system's own structures
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})

SIDE_BY_SIDE: Final = 4
"""Files that are synced at a time. Medians for twenty files, one by one and with four threads: 5 to 6 ms and 3 ms on a quiet
disk, 63 ms and 3 to 6 ms beside other writers, for whose commits each sync alone waits too.
"""


class Growing:
    """An append-only file. end: its size, in bytes, without what a failed put() left: the next put() overwrites that."""

    def __init__(self, path: Path, *, reserve: int) -> None:
        """reserve: bytes to keep allocated behind the end. `room` is how many are, some of them since an earlier process."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._reserve, self._is_short = path, reserve, True
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        found = os.fstat(self._file)
        self.end, self._is_named = found.st_size, False
        self.room = max(0, found.st_blocks * 512 - self.end - _OWN)

    def put(self, content: bytes) -> None:
        """Append content, and sync it. After an OSError nothing counts as written: put the same content again."""
        at, rest = self.end, memoryview(content)
        while rest:
            count = os.pwrite(self._file, rest, at)
            at, rest = at + count, rest[count:]
        os.fdatasync(self._file)
        if not self._is_named:
            for folder in self._path.parents[:3]:
                sync_folder(folder)
        self._is_named = True
        self.end, self.room = at, max(0, self.room - len(content))

    def reserve(self) -> None:
        """Top up the room when a sixteenth of it is used. Raises OSError if not all of it could be allocated.

        It is allocated piece by piece and never twice: a tmpfs that fails to allocate a range frees all of that range.
        """
        piece = self._reserve // 16
        while self.room < self._reserve - (0 if self._is_short else piece):
            self._is_short = True
            if not _fallocate(self._file, self.end + self.room, piece):
                self.room = sys.maxsize
            self.room += piece
        self._is_short = False

    def release(self) -> None:
        """Give the room back to the disk, for another file: at once, which ext4 promises only after a sync."""
        os.ftruncate(self._file, self.end)
        os.fsync(self._file)
        self.room, self._is_short = 0, True

    def close(self, *, keep: bool) -> None:
        """Close the file. keep: keep its room allocated."""
        if not keep:
            os.ftruncate(self._file, self.end)
        os.close(self._file)


def replace(path: Path, content: bytes) -> None:
    """Replace a file's content atomically: after a crash the file is the old or the new one, whole."""
    new = path.with_name(path.name + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fdatasync(file.fileno())
    new.rename(path)


def sync_folder(path: str | Path) -> None:
    """Sync a folder, so that the names in it are on disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Syncing:
    """Syncs files for one thread, SIDE_BY_SIDE at a time.

    That thread syncs too; the others start when first needed and stay until the process ends: to start three for each sync
    takes a quarter of its processor time.

    A file system commits concurrent syncs together: on ext4 the commit that one fdatasync begins includes what the others
    wait for, while one after the other each waits for a commit of its own.
    """

    def __init__(self) -> None:
        self._requests, self._results = SimpleQueue[int](), SimpleQueue[OSError | None]()
        self._threads = 0

    def sync(self, files: Sequence[int]) -> None:
        """Return when all files are on disk. Raises OSError if one of them may not be."""
        with suppress(RuntimeError):  # this process may start no more threads: make do with fewer
            while self._threads < min(SIDE_BY_SIDE, len(files)) - 1:
                Thread(target=self._serve, name="sync", daemon=True).start()
                self._threads += 1
        for file in files:
            self._requests.put(file)
        with suppress(Empty):
            while True:
                self._results.put(_sync_file(self._requests.get_nowait()))
        for error in [self._results.get() for _ in files]:
            if error is not None:
                raise error

    def _serve(self) -> None:
        while True:
            self._results.put(_sync_file(self._requests.get()))


def _sync_file(file: int) -> OSError | None:
    try:
        os.fdatasync(file)
    except OSError as error:
        return error
    return None


def _fallocate(file: int, offset: int, length: int) -> bool:
    """Allocate a range without changing the file's size. Returns False if the file system cannot; other errors raise."""
    import ctypes  # heavy, and not needed if the room is there from before

    call = ctypes.CDLL(None, use_errno=True).fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    code = ctypes.get_errno() if call(file, _KEEP_SIZE, offset, length) else 0
    if code and code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code))
    return code == 0
