"""A control group for each run (acts), where this user may make them: limits the memory of all its processes together.

The template makes one folder below its own group, with a group for each run in it. In version 2 a group that has processes
cannot share out memory, so there the folder lies below the nearest group above that does or can: of a service that systemd
delegates its group to and starts in a group below, the service's own, within whose limits runs stay. To move a process
takes the system up to 20 ms, so a child of the template does it while the run starts, and the Hand's code begins when both
are done; a spare has moved itself before. A run that cannot be moved is ended, and its end says why. The groups that a
killed template leaves are removed by the next ones of the same home.
"""

import os
from contextlib import suppress
from typing import Final

_MOUNT: Final = "/sys/fs/cgroup/memory"
_MOUNT_2: Final = "/sys/fs/cgroup"
_SUBTREE_CONTROL: Final = "cgroup.subtree_control"
_ALLOWANCE: Final = 16 * 1024 * 1024
"""Bytes beyond the declared memory, for what Linux keeps for the processes, so that RLIMIT_DATA stops Python first."""


def own() -> str:
    """Return the folder of this process's own memory control group; "" if this machine has none. Raises OSError."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        rows = [line.rstrip("\n").split(":", 2) for line in file]
    paths = {name: path for _, names, path in rows for name in names.split(",") if ".." not in path}
    if "memory" in paths:
        return next(filter(os.path.isdir, (_MOUNT + paths["memory"], _MOUNT)), "")
    if "" in paths and "memory" in _words(_MOUNT_2, "cgroup.controllers"):
        return next(filter(os.path.isdir, (_MOUNT_2 + paths[""].rstrip("/"), _MOUNT_2)), "")
    return ""


def is_second(folder: str) -> bool:
    """Whether a group is of cgroup version 2."""
    return os.path.exists(os.path.join(folder, "cgroup.controllers"))


def prepare(name: str) -> str:
    """Make a folder for the groups of this template's runs; remove those of earlier ones of this name, as far as these are
    empty: a process that was killed may take minutes to end. Returns its path, "" if that failed.
    """
    try:
        if not (above := own()):
            return ""
        above = _nearest_sharing(above) if is_second(above) else above
        for earlier in [one.path for one in os.scandir(above) if one.name.partition(".")[0] == name]:
            for group, _, _ in os.walk(earlier, topdown=False):
                with suppress(OSError):
                    os.rmdir(group)
        folder = os.path.join(above, f"{name}.{os.urandom(4).hex()}")
        os.mkdir(folder)
        if is_second(folder):
            _write(folder, _SUBTREE_CONTROL, "+memory")
        with open(os.path.join(folder, _file_name(folder, "memory.limit_in_bytes", "memory.max")), "r+b"):
            return folder
    except OSError:
        return ""


def move(folder: str, name: str, process: int, memory: int) -> None:
    """Move a process, and so all it will fork, into a new group with this memory limit, in bytes. Raises OSError.

    If the process ends meanwhile, the template may remove the group at any moment.
    """
    os.mkdir(os.path.join(folder, name))
    try:
        bound(folder, name, memory)
        _write(os.path.join(folder, name), "cgroup.procs", str(process))
    except OSError:
        leave(folder, name)
        raise


def enter(folder: str, name: str) -> None:
    """Move this process into a new group, which bound() will limit. Raises OSError."""
    group = os.path.join(folder, name)
    os.mkdir(group)
    _write(group, "cgroup.procs", "0")


def bound(folder: str, name: str, memory: int) -> None:
    """Limit a group's memory and swap, in bytes. Raises OSError."""
    group, most = os.path.join(folder, name), str(memory + _ALLOWANCE)
    _write(group, _file_name(group, "memory.limit_in_bytes", "memory.max"), most)
    swap, in_all = ("memory.swap.max", "0") if is_second(group) else ("memory.memsw.limit_in_bytes", most)
    if os.path.exists(os.path.join(group, swap)):
        _write(group, swap, in_all)


def leave(folder: str, name: str) -> bool:
    """Remove the group of a run that is gone. Returns whether the system killed a process in it for lack of memory."""
    group = os.path.join(folder, name)
    try:
        counters = os.path.join(group, _file_name(group, "memory.oom_control", "memory.events"))
        with open(counters, encoding="ascii") as file:
            was_full = "oom_kill 0" not in file.read().splitlines()
        os.rmdir(group)
    except OSError:  # it was never made; or it is busy, and the next template removes it
        return False
    return was_full


def _nearest_sharing(group: str) -> str:
    """Return the nearest group, this one or above, that shares out memory, or can be made to (version 2). Raises OSError."""
    while "memory" not in _words(group, _SUBTREE_CONTROL):
        try:
            _write(group, _SUBTREE_CONTROL, "+memory")
        except OSError:  # it has processes, or none of its memory is limited, or it is another user's
            if group == _MOUNT_2:
                raise
            group = os.path.dirname(group)
    return group


def _file_name(group: str, first: str, second: str) -> str:
    """Return the name of a group's file: `first` in version 1, `second` in version 2."""
    return second if is_second(group) else first


def _words(group: str, name: str) -> list[str]:
    """Return the words in a group's file; none if there is no such file."""
    try:
        with open(os.path.join(group, name), encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _write(group: str, name: str, text: str) -> None:
    with open(os.path.join(group, name), "wb", buffering=0) as file:
        file.write(text.encode())
