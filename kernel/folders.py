"""Folders (acts): opened without links; and those that somebody hostile has filled, measured and removed without recursion,
however deep they are.
"""

import contextlib
import os
import resource
import stat
from collections.abc import Iterable, Iterator
from functools import partial
from math import inf
from time import monotonic
from typing import Final

from kernel.errors import TooSlow

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


def allow_depth() -> None:
    """Let this process have as many folders open as the system allows it: measuring holds two descriptors for each level."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(folder: int, most: int, until: float = inf) -> int:
    """Bytes on disk of a folder and all below it; something over `most` as soon as it is more, or cannot be looked through.

    folder: a descriptor, left open; O_PATH is enough, for whoever may open it only here. Raises TooSlow when it is not done
    at `until`, a moment of time.monotonic().
    """
    size, open_folders = _room(".", folder), list[tuple[int, "os._ScandirIterator[str]"]]()
    try:
        top = os.open(".", _FOLDER, dir_fd=folder)
        open_folders.append((top, os.scandir(top)))
        while open_folders and size <= most:
            _check_time(until)
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
    except OSError:  # deeper than descriptors go, or closed to this process
        size = most + 1
    finally:
        for at, entries in open_folders:
            os.close(at)
            entries.close()
    return size


def measure_unlinked(processes: Iterable[int], device: int, until: float = inf) -> int:
    """Bytes on a disk of files that have no name any more, and that these processes have open or mapped.

    Counts only what this user may look at: root all of it. until: as of measure().
    """
    found: dict[int, int] = {}
    for process in processes:
        maps = partial(_unlinked_maps, until)
        for place, names in ((f"/proc/{process}/fd", os.listdir), (f"/proc/{process}/map_files", maps)):
            with contextlib.suppress(OSError):
                for name in names(place):
                    _check_time(until)
                    with contextlib.suppress(OSError):  # closed meanwhile
                        file = os.stat(f"{place}/{name}")
                        if file.st_nlink == 0 and file.st_dev == device and stat.S_ISREG(file.st_mode):
                            found[file.st_ino] = file.st_blocks * 512
    return sum(found.values())


def _unlinked_maps(until: float, place: str) -> Iterator[str]:
    """The entries of a process's map_files that may be files without a name, as its maps mark them (proc_pid_maps(5)).

    An interpreter has hundreds of entries: to ask about each of them takes five times as long.
    """
    with open(os.path.join(os.path.dirname(place), "maps"), "rb") as maps:
        for line in maps:
            _check_time(until)
            if line.endswith(b" (deleted)\n"):
                yield "-".join(f"{int(address, 16):x}" for address in line.split(maxsplit=1)[0].split(b"-"))


def _check_time(until: float) -> None:
    if monotonic() > until:
        raise TooSlow


def _room(name: str, folder: int) -> int:
    """Bytes on disk of a file or of a folder itself; 0 when it is gone.

    An empty one counts too: it takes no block, and yet is one of all the files that a disk can hold.
    """
    try:
        return max(os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512, 4096)
    except OSError:
        return 0


def remove(name: str, parent: int) -> None:
    """Remove a folder that nobody uses any more, and all below it. OSError when something of it cannot be removed.

    Folders below folders are moved up before theirs is removed, so that no depth matters.
    """
    top, moved, word = _opened(name, parent), 0, os.urandom(8).hex()
    try:
        while names := os.listdir(top):
            for entry in names:
                if _unlinked(entry, top):
                    continue
                folder = _opened(entry, top)
                try:
                    for below in os.listdir(folder):
                        if not _unlinked(below, folder):
                            os.chmod(below, 0o700, dir_fd=folder)
                            moved += 1
                            os.rename(below, f"{word}-{moved}", src_dir_fd=folder, dst_dir_fd=top)
                finally:
                    os.close(folder)
                os.rmdir(entry, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _opened(name: str, parent: int) -> int:
    """The folder, to look into and to change, whatever its mode was."""
    descriptor = os.open(name, os.O_PATH | _FOLDER, dir_fd=parent)
    os.close(descriptor)  # no link
    os.chmod(name, 0o700, dir_fd=parent)
    return os.open(name, _FOLDER, dir_fd=parent)


def _unlinked(name: str, folder: int) -> bool:
    """Whether it was no folder, and is gone."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    return True


def opened(path: str, access: int = os.O_RDONLY) -> int:
    """A descriptor of a folder that is no link. Raises OSError."""
    return os.open(path, access | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def opened_root(path: str) -> int:
    """The same of a root, which must lie where it was when it was named: no part of its path a link. Raises OSError."""
    folder = opened(os.path.realpath(path))
    if os.readlink(f"/proc/self/fd/{folder}") != path:
        os.close(folder)
        raise OSError(f"the root {path} leads elsewhere since it was named: `maniple roots remove`, then add it again")
    return folder
