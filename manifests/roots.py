"""Decides whether a folder gives access to the home, under whatever name or mount (pure: paths and mount table come in).

Such a root would give a Hand the home's keys. Paths are compared by their place on the file system, which a bind mount
cannot disguise: the mount table (proc_pid_mountinfo(5)) tells which folder of which device each mount shows.
"""

from typing import NamedTuple


class Mount(NamedTuple):
    """One line of the mount table: the device, the folder of it that is mounted, and the mount point."""

    device: str
    folder: str
    point: str


def read_mounts(table: str) -> list[Mount]:
    """Parse /proc/self/mountinfo. Lines with too few fields are skipped."""
    lines = [line.split(" ") for line in table.split("\n")]  # a folder's name may hold "\r"
    return [Mount(line[2], _plain(line[3]), _plain(line[4])) for line in lines if len(line) > 4]


def reveals_home(folder: str, home: str, mounts: list[Mount]) -> bool:
    """Whether a folder contains the home, lies in it, or shows part of it by a mount at, above or below it. Real paths."""
    device, place = _on_disk(home, mounts)
    shown = [_on_disk(folder, mounts), *((one.device, one.folder) for one in mounts if _within(one.point, folder))]
    return _within(home, folder) or any(
        on == device and (_within(place, what) or _within(what, place)) for on, what in shown
    )


def _on_disk(path: str, mounts: list[Mount]) -> tuple[str, str]:
    """Return a path's device, and its path from that device's root. Of mounts at one point the last counts."""
    over = [one for one in mounts if _within(path, one.point)]
    if not over:
        return "", path
    mount = max(enumerate(over), key=lambda one: (len(one[1].point), one[0]))[1]
    below = path[len(mount.point.rstrip("/")) :]
    return mount.device, (mount.folder.rstrip("/") + below) or "/"


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _plain(escaped: str) -> str:
    """Unescape space, tab, newline and backslash, which the table has as three octal digits."""
    for char in " \t\n\\":
        escaped = escaped.replace(f"\\{ord(char):03o}", char)
    return escaped
