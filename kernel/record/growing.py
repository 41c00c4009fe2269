"""Files that only grow, with room kept behind their end, and files replaced in one step (acts; on the log's thread).

Room is allocated without changing the file's size (fallocate, KEEP_SIZE), so readers never see it, and no other program
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
_OWN: Final = 64 * 1024  # more than a file system counts among a file's blocks for its own purposes
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})

SIDE_BY_SIDE: Final = 4
"""Files that are synced at a time. Of twenty, medians here: 5 to 6 ms one by one and 3 ms with four threads on a quiet disk;
63 ms and 3 to 6 ms beside others who write, where each sync alone waits for their commits too.
"""


class Growing:
    """A file and its end, in bytes. What a failed put() left behind the end is overwritten by the next."""

    def __init__(self, path: Path, *, reserve: int) -> None:
        """reserve: bytes to keep behind the end; room: those that are there, maybe since an earlier process."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._reserve, self._is_short = path, reserve, True
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        found = os.fstat(self._file)
        self.end, self._is_named = found.st_size, False
        self.room = max(0, found.st_blocks * 512 - self.end - _OWN)

    def put(self, content: bytes) -> None:
        """Bring content to disk behind the end. After an OSError nothing counts as written: put the same again."""
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
        """Top up the room when a sixteenth of it is used. Raises OSError when only some of it could be had.

        Piece by piece, and never over what is there: a tmpfs that fails to allocate a range frees all of that range.
        """
        piece = self._reserve // 16
        while self.room < self._reserve - (0 if self._is_short else piece):
            self._is_short = True
            if not _fallocate(self._file, self.end + self.room, piece):
                self.room = sys.maxsize
            self.room += piece
        self._is_short = False

    def release(self) -> None:
        """Give the room back to the disk, for somebody who needs it more: there at once, which ext4 promises only then."""
        os.ftruncate(self._file, self.end)
        os.fsync(self._file)
        self.room, self._is_short = 0, True

    def close(self, *, keep: bool) -> None:
        """Let go of the file; unless it is kept, its room goes back to the disk."""
        if not keep:
            os.ftruncate(self._file, self.end)
        os.close(self._file)


def replace(path: Path, content: bytes) -> None:
    """Put content in the place of a file: after a crash there is the old one or the new one, whole."""
    new = path.with_name(path.name + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fdatasync(file.fileno())
    new.rename(path)


def sync_folder(path: str | Path) -> None:
    """Bring a folder's names to disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Syncing:
    """Brings files to disk, SIDE_BY_SIDE of them at a time, for one thread that asks.

    That thread syncs, too; the others are begun when they are first needed, and kept to the process's end: to begin three
    for each sync takes a quarter of its processor time.

    A file system commits what it is asked for at once in one go: on ext4 the commit that an fdatasync begins takes what
    others wait for with it, while one after the other each waits for a commit of its own.
    """

    def __init__(self) -> None:
        self._asked, self._told = SimpleQueue[int](), SimpleQueue[OSError | None]()
        self._others = 0

    def sync(self, files: Sequence[int]) -> None:
        """Returns when all are on disk. Raises OSError when one of them may not be there."""
        with suppress(RuntimeError):  # this process may have no more threads: then there are fewer
            while self._others < min(SIDE_BY_SIDE, len(files)) - 1:
                Thread(target=self._serve, name="sync", daemon=True).start()
                self._others += 1
        for file in files:
            self._asked.put(file)
        with suppress(Empty):
            while True:
                self._told.put(_synced(self._asked.get_nowait()))
        for error in [self._told.get() for _ in files]:
            if error is not None:
                raise error

    def _serve(self) -> None:
        while True:
            self._told.put(_synced(self._asked.get()))


def _synced(file: int) -> OSError | None:
    try:
        os.fdatasync(file)
    except OSError as error:
        return error
    return None


def _fallocate(file: int, offset: int, length: int) -> bool:
    """Whether the file system can do it at all."""
    import ctypes  # heavy, and not needed by a start that finds its room

    call = ctypes.CDLL(None, use_errno=True).fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    code = ctypes.get_errno() if call(file, _KEEP_SIZE, offset, length) else 0
    if code and code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code))
    return code == 0
