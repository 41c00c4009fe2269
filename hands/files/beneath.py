"""Opens files and folders beneath a root and nothing else: no link is followed, no path leads out (acts).

The kernel has checked a resource as text. What the text means on disk is decided here, when it is opened, by `openat2`
with BENEATH, NO_SYMLINKS and NO_MAGICLINKS (openat2(2), Linux 5.6). Where that call is missing, or a filter forbids it,
the path is walked part by part with O_NOFOLLOW, which refuses the same paths; the tests run both.

Fifos, devices and sockets are never opened: a name is first checked through O_PATH, which has no effect on the file, and
again after an open that does not block. Errors are OSError, or FileRefused if the name is at fault.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from file_refusal import FileRefused

RESERVED: Final = ".maniple-"
"""Prefix of the names of this Hand's own files and its bin; no resource reaches them."""

_SYS_OPENAT2: Final = 437  # the same number on x86-64 and aarch64
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08

Opener = Callable[[int, tuple[str, ...], int], int]
"""(root's descriptor, parts of the path, open flags) → a descriptor. Raises OSError."""


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_libc: Final = ctypes.CDLL(None, use_errno=True)


def has_openat2() -> bool:
    """Whether this system lets us call openat2. Asked with a size that the call itself refuses, so that nothing is
    opened.
    """
    return _libc.syscall(_SYS_OPENAT2, -1, None, None, ctypes.c_size_t(0)) != -1 or ctypes.get_errno() == errno.EINVAL


def by_openat2(root: int, parts: tuple[str, ...], flags: int) -> int:
    """The Opener that calls openat2."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    path = os.fsencode("/".join(parts) or ".")
    while True:
        made = _libc.syscall(_SYS_OPENAT2, root, path, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
        if made != -1:
            return int(made)
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number), "/".join(parts))


def by_walking(root: int, parts: tuple[str, ...], flags: int) -> int:
    """Opener part by part, for systems without openat2. Each step starts from a descriptor, so a swap cannot lead
    out.
    """
    if any(part in ("..", "") or "/" in part for part in parts):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), "/".join(parts))
    at = root
    try:
        for part in parts[:-1]:
            below = _step(at, part, os.O_PATH | os.O_DIRECTORY)
            if at != root:
                os.close(at)
            at = below
        return _step(at, parts[-1] if parts else ".", flags)
    finally:
        if at != root:
            os.close(at)


def _step(at: int, part: str, flags: int) -> int:
    try:
        return os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(part, dir_fd=at, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), part) from None
        raise


def best_opener() -> Opener:
    """openat2 where it may be called, otherwise walking."""
    return by_openat2 if has_openat2() else by_walking


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a resource lies: its root's descriptor and the parts of its path beneath; `()` is the root itself."""

    resource: str
    root: int
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The last part. Raises FileRefused for a root, which is a folder."""
        if not self.parts:
            raise FileRefused("not a file", f"{self.resource}: a root is a folder, not a file.")
        return self.parts[-1]

    @property
    def folder(self) -> "Place":
        """The folder that holds it."""
        return Place(resource=self.resource.rpartition("/")[0], root=self.root, parts=self.parts[:-1])


class Tree:
    """Opens what lies beneath the granted roots. roots: name → directory descriptor, owned by the runtime."""

    def __init__(self, roots: Mapping[str, int], opener: Opener) -> None:
        self.roots = roots
        self.open = opener

    def place(self, resource: str) -> Place:
        """The Place of a resource. Raises FileRefused for an unknown root or an invalid path."""
        first, *rest = resource.split("/")
        if first not in self.roots:
            gone = "or its folder was gone or closed when this Hand started: restore it, then `maniple restart files`"
            mend = f"To grant it: `maniple roots add {first or 'NAME'} PATH`"
            raise FileRefused("unknown root", f"{resource}: there is no root {first!r}, {gone}. {mend}")
        for part in rest:
            if part in ("", ".", "..") or "\0" in part or any("\ud800" <= sign <= "\udfff" for sign in part):
                raise FileRefused("arguments", f"{resource}: {part!r} cannot be a part of a path.")
            if part.startswith(RESERVED):
                raise FileRefused(
                    "reserved name", f"{resource}: names that begin with {RESERVED} are kept for this Hand."
                )
        return Place(resource=resource, root=self.roots[first], parts=tuple(rest))

    def look(self, place: Place) -> os.stat_result:
        """stat of what lies there; a link's own, if it is one. Opens nothing for reading."""
        fd = self.open(place.root, place.parts, os.O_PATH | os.O_NOFOLLOW)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def open_file(self, held: ExitStack, place: Place) -> int:
        """Opens a regular file for reading. `held` closes it. Raises FileRefused for anything else."""
        must_be_file(self.look(place), place.resource)
        fd = self.open(place.root, place.parts, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
        held.callback(os.close, fd)
        must_be_file(os.fstat(fd), place.resource)
        return fd

    def open_folder(self, held: ExitStack, place: Place) -> int:
        """Opens a folder for listing, locking and syncing. `held` closes it. Raises FileRefused for anything else."""
        found = self.look(place)
        if stat.S_ISLNK(found.st_mode):
            raise FileRefused("symbolic link", f"{place.resource}: it is a symbolic link; links are never followed.")
        if not stat.S_ISDIR(found.st_mode):
            raise FileRefused("not a folder", f"{place.resource}: it is not a folder.")
        fd = self.open(place.root, place.parts, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        held.callback(os.close, fd)
        return fd

    def must_lie_there(self, folder: int, place: Place) -> None:
        """Raises FileRefused or FileNotFoundError unless an open folder still lies at its place."""
        if not os.path.samestat(self.look(place), os.fstat(folder)):
            raise FileRefused("not found", f"{place.resource}: this folder was moved away meanwhile.")


def must_be_file(found: os.stat_result, resource: str) -> None:
    """Raises FileRefused unless the stat is that of a regular file."""
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISLNK(found.st_mode):
        raise FileRefused("symbolic link", f"{resource}: it is a symbolic link; links are never followed.")
    raise FileRefused("not a file", f"{resource}: it is a {kind_of(found.st_mode)}, not a file.")


def kind_of(mode: int) -> str:
    """The kind of file that a mode means: file, folder, link, fifo, socket or device."""
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"), (stat.S_ISFIFO, "fifo"))
    for test, kind in kinds:
        if test(mode):
            return kind
    return "socket" if stat.S_ISSOCK(mode) else "device"
