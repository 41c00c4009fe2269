"""Writes a file whole or not at all: a draft beside it, then one rename (acts).

A reader, and a machine that loses power, finds either the old file or the new one: the bytes go to a draft in the same
folder, are synced, and only then take the name; the folder is synced after. A draft's name begins with RESERVED, so
listings hide it and no resource reaches it. A killed write leaves at most its draft, which `sweep` removes.

A write replaces the *name*. A second hard link to the old file keeps the old bytes, so nobody's bytes change through a
link that he did not mean. A symbolic link, fifo, socket, device or folder at the name is refused. A replaced file's mode
is kept (without set-uid), and a file whose mode forbids writing is not replaced although its folder would allow it.

`expect` is compare-and-swap. Calls through this Hand, also those of other homes, queue at a lock on the folder. Against
programs that ignore that lock, draft and file are *exchanged* in one step (renameat2(2) EXCHANGE), and what came out is
then checked: if it is not the file that was compared, they are exchanged back and the call ends in `conflict`. So a
change made between compare and swap is never lost. What remains: for that moment a reader sees the new file; a kill in
that moment leaves it there; and a program that holds the old file open and writes after the swap writes into a file
without a name, which no system call of Linux can prevent. Filesystems that cannot exchange (old NFS, FUSE) get a second
check and a plain rename.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import platform
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from beneath import RESERVED, must_be_file
from file_refusal import FileRefused

ABSENT: Final = "absent"
READ_SIZE: Final = 256 * 1024
LOCK_WAIT: Final = 5.0
"""Seconds to wait for a folder's lock, which is held for one comparison and one rename."""

RACY: Final = 2_000_000_000
"""Nanoseconds. A file changed more recently than this may change again with the same time stamp, so it is read twice."""

_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_SYS_RENAMEAT2: Final = {"x86_64": 316, "aarch64": 276}
_UNSUPPORTED: Final = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Draft:
    """A file being written. folder: descriptor of its future folder. The caller must call `drop` at the end."""

    def __init__(self, folder: int) -> None:
        self.folder = folder
        self.size = 0
        self._digest = hashlib.sha256()
        self._named = True
        self.name, self.fd = _new_draft(folder)

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes written so far."""
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Appends. Raises OSError: ENOSPC, or EFBIG above the process's limit."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self.fd, rest) :]
        self._digest.update(chunk)
        self.size += len(chunk)

    def settle(self, mode: int) -> None:
        """Gives the draft its mode and waits until its bytes are on disk."""
        os.fchmod(self.fd, mode)
        os.fsync(self.fd)

    def mark_placed(self) -> None:
        """Notes that the draft has taken its name, so that `drop` removes nothing."""
        self._named = False

    def drop(self) -> None:
        """Closes it, and removes it unless it was placed."""
        os.close(self.fd)
        if self._named:
            remove(self.folder, self.name)


def _new_draft(folder: int) -> tuple[str, int]:
    while True:
        name = f"{RESERVED}{os.urandom(8).hex()}.part"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink:  # else another home swept it before it was locked
                return name, fd
        except BlockingIOError:
            pass  # another home is sweeping it
        except OSError:  # the file system has no locks
            os.close(fd)
            remove(folder, name)
            raise
        os.close(fd)


def remove(folder: int, name: str) -> None:
    """Removes a name, if it is still there."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def check_target(folder: int, name: str, resource: str) -> os.stat_result | None:
    """stat of the file that a write would replace, None if there is none. Raises FileRefused or OSError if it may not be
    replaced.
    """
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    must_be_file(found, resource)
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ETXTBSY:  # a running program: its inode stays, the name gets a new one
            raise
    return found


def put(draft: Draft, name: str, expect: str | None, resource: str, noting: AbstractContextManager[object]) -> None:
    """Gives the settled draft its name. expect: None, ABSENT or a digest in hex. Raises FileRefused or OSError.

    noting: entered before the rename and left after it, while the folder is locked.
    """
    folder = draft.folder
    with folder_lock(folder, resource), noting:
        if expect is None:
            check_target(folder, name, resource)
            os.rename(draft.name, name, src_dir_fd=folder, dst_dir_fd=folder)
        elif expect == ABSENT:
            _put_new(draft, name)
        else:
            _swap(draft, name, expect, resource)
    draft.mark_placed()
    os.fsync(folder)


def _put_new(draft: Draft, name: str) -> None:
    try:
        rename_flags(draft.folder, draft.name, draft.folder, name, _NOREPLACE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        os.link(draft.name, name, src_dir_fd=draft.folder, dst_dir_fd=draft.folder, follow_symlinks=False)
        remove(draft.folder, draft.name)


def _swap(draft: Draft, name: str, expect: str, resource: str) -> None:
    folder = draft.folder
    with compared(folder, name, expect, resource) as seen:
        try:
            rename_flags(folder, draft.name, folder, name, _EXCHANGE)
        except FileNotFoundError:
            raise conflict(resource) from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            if not seen.is_still(folder, name):
                raise conflict(resource) from None
            os.rename(draft.name, name, src_dir_fd=folder, dst_dir_fd=folder)
            return
        try:
            unchanged = seen.is_still(folder, draft.name)
        except OSError:
            _swap_back(draft, name)
            raise
        if not unchanged:
            _swap_back(draft, name)
            raise conflict(resource)
        remove(folder, draft.name)


def _swap_back(draft: Draft, name: str) -> None:
    """Undoes the exchange: the file that now has the draft's name gets its own name back."""
    folder = draft.folder
    try:
        rename_flags(folder, draft.name, folder, name, _EXCHANGE)
    except FileNotFoundError:  # another program removed the new file meanwhile
        move_new(folder, draft.name, folder, name)
        return
    if not os.path.samestat(os.stat(draft.name, dir_fd=folder, follow_symlinks=False), os.fstat(draft.fd)):
        # Another program put a third file there between the two exchanges: keep it under a name that its owner sees.
        move_new(folder, draft.name, folder, conflict_name(name))


def conflict_name(name: str) -> str:
    """A new name for a file whose own name another program took meanwhile. At most 255 bytes; cut between characters."""
    return f"{name.encode()[:200].decode('utf-8', 'ignore')}.conflict-{os.urandom(4).hex()}"


def conflict(resource: str) -> FileRefused:
    """The refusal for a file that does not match `expect`."""
    return FileRefused("conflict", f"{resource}: it is not what was expected. Read it again and decide anew.")


class Seen:
    """A file that was read and found to have the expected digest. fd: open for reading."""

    def __init__(self, fd: int, expect: str, resource: str) -> None:
        self._fd = fd
        self._expect = expect
        self._at = time.time_ns()
        self.facts = os.fstat(fd)
        must_be_file(self.facts, resource)
        if digest_of(fd) != expect:
            raise conflict(resource)

    def is_still(self, folder: int, name: str) -> bool:
        """Whether the name still leads to this file, unchanged. Reads it again if time stamps cannot tell."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not os.path.samestat(found, self.facts):
            return False
        same = (found.st_size, found.st_mtime_ns) == (self.facts.st_size, self.facts.st_mtime_ns)
        if same and found.st_mtime_ns < self._at - RACY:
            return True
        return digest_of(self._fd) == self._expect


@contextmanager
def compared(folder: int, name: str, expect: str, resource: str) -> Iterator[Seen]:
    """Opens and reads the file of that name. Raises FileRefused unless its digest is `expect`."""
    try:
        check_target(folder, name, resource)
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise conflict(resource) from None
    try:
        yield Seen(fd, expect, resource)
    finally:
        os.close(fd)


def digest_of(fd: int) -> str:
    """SHA-256, in hex, of an open file's content."""
    digest, at = hashlib.sha256(), 0
    while chunk := os.pread(fd, READ_SIZE, at):
        digest.update(chunk)
        at += len(chunk)
    return digest.hexdigest()


@contextmanager
def folder_lock(folder: int, resource: str) -> Iterator[None]:
    """Holds a folder's advisory lock, among all `files` Hands on the machine. Raises FileRefused after LOCK_WAIT."""
    end = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                raise FileRefused("busy", f"{resource}: another process holds its folder's lock. Try again.") from None
            time.sleep(0.002)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


def rename_flags(from_folder: int, name: str, to_folder: int, new: str, flags: int) -> None:
    """Calls renameat2(2). Raises OSError; ENOSYS on a machine whose number for that call we do not know."""
    number = _SYS_RENAMEAT2.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name)
    old, target = os.fsencode(name), os.fsencode(new)
    if _libc.syscall(number, from_folder, old, to_folder, target, ctypes.c_uint(flags)) == -1:
        wrong = ctypes.get_errno()
        raise OSError(wrong, os.strerror(wrong), name)


def move_new(from_folder: int, name: str, to_folder: int, new: str) -> None:
    """Renames to a free name. Raises FileExistsError if it is taken."""
    try:
        rename_flags(from_folder, name, to_folder, new, _NOREPLACE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        os.link(name, new, src_dir_fd=from_folder, dst_dir_fd=to_folder, follow_symlinks=False)
        os.unlink(name, dir_fd=from_folder)


def sweep(folder: int) -> int:
    """Removes the drafts that killed writes left in a folder; returns how many. Drafts being written are locked and stay."""
    gone = 0
    for name in os.listdir(folder):
        if not (name.startswith(RESERVED) and name.endswith(".part")):
            continue
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            continue  # gone, or not a plain file
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
            gone += 1
        except OSError:
            continue
        finally:
            os.close(fd)
    return gone
