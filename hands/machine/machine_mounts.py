"""The filesystems on devices of this machine, as a run sees them (acts).

A run has a mount namespace of its own, in which every mount is read-only and some folders are covered by empty ones. So
whether a filesystem is read-only is read from the filesystem, not from its mount, and a mount point is measured only if
what is seen there is that mount.
"""

import os
import re
from typing import Final, NamedTuple

MOUNTS: Final = "/proc/self/mountinfo"
KINDS: Final = "/proc/filesystems"

_OPEN: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Mount(NamedTuple):
    """One mount. number: its id. point: where it is. readonly: whether its filesystem is. on_device: not made of memory."""

    number: int
    point: str
    device: str
    kind: str
    readonly: bool
    on_device: bool


def mounts() -> list[Mount]:
    """The mounts of filesystems on devices, and those at `/`; the shortest mount point first. Raises OSError, ValueError."""
    with open(KINDS, encoding="utf-8", errors="surrogateescape") as lines:
        kinds = {"zfs", *(line.strip() for line in lines if not line.startswith("nodev"))}
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        found = [_mount(line, kinds) for line in lines]
    return sorted((one for one in found if one.on_device or one.point == "/"), key=lambda one: len(one.point))


def _mount(line: str, kinds: set[str]) -> Mount:
    """A line of /proc/self/mountinfo; proc_pid_mountinfo(5) has its fields, of which a varying number are optional."""
    first, _, last = line.partition(" - ")
    number, _, _, _, point, *_ = first.split(" ")
    kind, device, options = last.rstrip("\n").split(" ", 2)
    readonly = "ro" in options.split(",")
    return Mount(int(number), _plain(point), _plain(device), kind, readonly, kind in kinds)


def _plain(field: str) -> str:
    r"""A field without its escapes, such as `\040` for a blank."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def measure(mount: Mount) -> os.statvfs_result | None:
    """The numbers of a mounted filesystem; None if a file is mounted there, which is no disk of its own.

    Raises OSError if a run does not see it: its folder is closed, or something is mounted over it.
    """
    try:
        folder = os.open(mount.point, _OPEN)
    except NotADirectoryError:
        return None
    try:
        if _number(folder) not in (None, mount.number):
            raise OSError(0, "covered by another mount, so that its numbers cannot be read", mount.point)
        return os.statvfs(folder)
    finally:
        os.close(folder)


def _number(folder: int) -> int | None:
    """The id of the mount that an open folder is on; None if this kernel does not say so."""
    try:
        with open(f"/proc/self/fdinfo/{folder}", encoding="ascii") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith("mnt_id:")), None)
    except OSError:
        return None
