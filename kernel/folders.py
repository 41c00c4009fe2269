"""Folders (acts): opened without links; and those that somebody hostile has filled, measured and removed without recursion,
however deep they are.
"""

import contextlib
import os
import resource
import stat
from collections.abc import Iterable, Iterator
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


def allow_depth() -> None:
    """Let this process have as many folders open as the system allows it: measuring holds one for each level."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(folder: int, most: int) -> int:
    """Bytes on disk of a folder and all below it; something over `most` as soon as it is more, or cannot be looked through.

    folder: a descriptor, left open; O_PATH is enough, for whoever may open it only here.
    """
    size, open_folders = _room(".", folder), list[tuple[int, list[str]]]()
    try:
        top = os.open(".", _FOLDER, dir_fd=folder)
        open_folders.append((top, os.listdir(top)))
        while open_folders and size <= most:
            at, names = open_folders[-1]
            if not names:
                os.close(at)
                open_folders.pop()
                continue
            name = names.pop()
            size += _room(name, at)
            try:
                below = os.open(name, _FOLDER, dir_fd=at)
            except (FileNotFoundError, NotADirectoryError):
                continue
            open_folders.append((below, os.listdir(below)))
    except OSError:  # deeper than descriptors go, or closed to this process
        size = most + 1
    finally:
        for at, _ in open_folders:
            os.close(at)
    return size


def measure_unlinked(processes: Iterable[int], device: int) -> int:
    """Bytes on a disk of files that have no name any more, and that these processes have open or mapped.

    Counts only what this user may look at: root all of it.
    """
    found: dict[int, int] = {}
    for process in processes:
        for place, names in ((f"/proc/{process}/fd", os.listdir), (f"/proc/{process}/map_files", _unlinked_maps)):
            with contextlib.suppress(OSError):
                for name in names(place):
                    with contextlib.suppress(OSError):  # closed meanwhile
                        file = os.stat(f"{place}/{name}")
                        if file.st_nlink == 0 and file.st_dev == device and stat.S_ISREG(file.st_mode):
                            found[file.st_ino] = file.st_blocks * 512
    return sum(found.values())


def _unlinked_maps(place: str) -> Iterator[str]:
    """The entries of a process's map_files that may be files without a name, as its maps mark them (proc_pid_maps(5)).

    An interpreter has hundreds of entries: to ask about each of them takes five times as long.
    """
    with open(os.path.join(os.path.dirname(place), "maps"), "rb") as maps:
        for line in maps:
            if line.endswith(b" (deleted)\n"):
                yield "-".join(f"{int(address, 16):x}" for address in line.split(maxsplit=1)[0].split(b"-"))


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


def _room(name: str, folder: int) -> int:
    """Bytes on disk of a file or of a folder itself; 0 when it is gone."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0


def opened(path: str, access: int = os.O_RDONLY) -> int:
    """A descriptor of a folder that is no link. Raises OSError."""
    return os.open(path, access | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def opened_root(path: str) -> int:
    """The same of a root, which must lie where it was when it was named: no part of its path a link. Raises OSError."""
    folder = opened(path)
    if os.readlink(f"/proc/self/fd/{folder}") != path:
        os.close(folder)
        raise OSError(f"the root {path} leads elsewhere since it was named: `maniple roots remove`, then add it again")
    return folder
