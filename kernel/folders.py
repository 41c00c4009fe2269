"""Folders (acts): opens them without following links; measures and removes them without recursion, so that a hostile Hand
may nest them to any depth.
"""

import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from math import inf
from time import monotonic
from typing import Final

from kernel.descriptors import reopened
from kernel.errors import TooSlow

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


def measure(folder: int, most: int, until: float = inf) -> int:
    """Return the bytes on disk of a folder and all below it; some number above `most` as soon as it is known to be more, or
    if something cannot be read.

    folder: a descriptor, left open; O_PATH is enough. Each level takes two more. Raises TooSlow if not done at `until`, a
    time of time.monotonic().
    """
    size, open_folders = _room(".", folder), list[tuple[int, "os._ScandirIterator[str]"]]()
    try:
        top = os.open(".", _FOLDER, dir_fd=folder)
        open_folders.append((top, os.scandir(top)))
        while open_folders and size <= most:
            check_time(until)
            at, entries = open_folders[-1]
            if (entry := next(entries, None)) is None:
                os.close(at)
                open_folders.pop()
                continue
            size += _room(entry.name, at)
            try:
                below = os.open(entry.name, _FOLDER, dir_fd=at)
            except (FileNotFoundError, NotADirectoryError):
                continue
            open_folders.append((below, os.scandir(below)))
    except OSError:  # too deep for the descriptors that there are, or not readable by this process
        size = most + 1
    finally:
        for at, entries in open_folders:
            os.close(at)
            entries.close()
    return size


def check_time(until: float) -> None:
    """Raise TooSlow if it is later than `until`, a time of time.monotonic()."""
    if monotonic() > until:
        raise TooSlow


def _room(name: str, folder: int) -> int:
    """Return the bytes on disk of a file, or of a folder itself; 0 if it is gone.

    At least 4096: an empty file takes no block, but one of the inodes that the disk has.
    """
    try:
        return max(os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512, 4096)
    except OSError:
        return 0


def sweep(names: Iterable[str], parent: int) -> None:
    """Remove folders of runs that have ended; those that are gone already are no error. Raises OSError as remove() does, once
    all others are removed.
    """
    with ExitStack() as removals:
        for name in names:
            removals.callback(_sweep, name, parent)


def _sweep(name: str, parent: int) -> None:
    """Remove one folder.

    With it Linux forgets every name that was looked for in it and is not there, which may be millions, and meanwhile nothing
    can be made beside it. So it is moved into a folder of its own first, unless the disk is full.
    """
    apart = os.urandom(8).hex()
    with suppress(OSError):
        os.close(_force_open(name, parent))  # its mode may forbid to move it; waits for whoever reads it
        os.mkdir(apart, 0o700, dir_fd=parent)
        os.rename(name, f"{apart}/{name}", src_dir_fd=parent, dst_dir_fd=parent)
    for place in (f"{apart}/{name}", name, apart):
        with suppress(FileNotFoundError):
            remove(place, parent)


def remove(name: str, parent: int) -> None:
    """Remove a folder that is no longer used, and all below it. Raises OSError if something cannot be removed.

    Nested folders are moved up into the top one before their parent is removed, so any depth takes three descriptors.
    """
    top, moved, word = _force_open(name, parent), 0, os.urandom(8).hex()
    try:
        while names := os.listdir(top):
            for entry in names:
                if _try_unlink(entry, top):
                    continue
                folder = _force_open(entry, top)
                try:
                    for below in os.listdir(folder):
                        if not _try_unlink(below, folder):
                            os.close(_force_open(below, folder))
                            moved += 1
                            os.rename(below, f"{word}-{moved}", src_dir_fd=folder, dst_dir_fd=top)
                finally:
                    os.close(folder)
                os.rmdir(entry, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _force_open(name: str, parent: int) -> int:
    """Open a folder for reading and changing, whatever its mode was. No link is followed, even one put there meanwhile."""
    return reopened(os.open(name, os.O_PATH | _FOLDER, dir_fd=parent), os.O_DIRECTORY, 0o700)


def _try_unlink(name: str, folder: int) -> bool:
    """Unlink a file. Returns False if it is a folder."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    return True


def open_folder(path: str, access: int = os.O_RDONLY) -> int:
    """Open a folder; return its descriptor. Raises OSError, also for a link."""
    return os.open(path, access | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def open_root(path: str) -> int:
    """Open a root, which must still lie where it was when it was named: no part of its path is a link. Raises OSError."""
    folder = open_folder(os.path.realpath(path))
    if os.readlink(f"/proc/self/fd/{folder}") != path:
        os.close(folder)
        raise OSError(f"the root {path} is now a link to another place: `maniple roots remove`, then add it again")
    return folder
