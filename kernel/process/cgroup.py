"""A control group for each run (acts): bounds the memory of all its processes together, where root may make them.

The template makes one folder below its own group, which holds one for each run. Of version 2 a group that has processes can
share nothing out, so there the folder lies below the nearest group above that shares out memory, or below the root. To move
a process into a group takes the system up to 20 ms, so a child of the template's does it beside the run's own start, and the
Hand's code begins when both are done; a spare has moved itself before it is anybody's. One that cannot be moved is ended, and
its end says why. What a template that was killed leaves behind, the next one of the same home removes.
"""

import os
from collections.abc import Iterable
from typing import Final

_MOUNT: Final = "/sys/fs/cgroup/memory"
_MOUNT_2: Final = "/sys/fs/cgroup"
_SHARED_2: Final = "cgroup.subtree_control"
_FOR_ITSELF: Final = 16 * 1024 * 1024
"""Bytes beyond the declared memory: what the kernel keeps for the processes, so that Python hears of a limit first."""


def own() -> str:
    """The folder of this process's own group among those that bound memory; "" where there are none. Raises OSError."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        paths = {name: path for _, names, path in _lines(file) for name in names.split(",") if ".." not in path}
    if "memory" in paths:
        return next(filter(os.path.isdir, (_MOUNT + paths["memory"], _MOUNT)), "")
    if "" in paths and "memory" in _words(_MOUNT_2, "cgroup.controllers"):
        return next(filter(os.path.isdir, (_MOUNT_2 + paths[""].rstrip("/"), _MOUNT_2)), "")
    return ""


def is_second(folder: str) -> bool:
    """Whether a group is of version 2."""
    return os.path.exists(os.path.join(folder, "cgroup.controllers"))


def prepare(name: str) -> str:
    """The folder `name` for the groups of this template's runs, empty; "" where none can be made."""
    try:
        if not (above := own()):
            return ""
        folder = os.path.join(_sharing(above) if is_second(above) else above, name)
        os.makedirs(folder, exist_ok=True)
        for entry in list(os.scandir(folder)):
            if entry.is_dir():
                os.rmdir(entry.path)
        if is_second(folder):
            _write(folder, _SHARED_2, "+memory")
        with open(os.path.join(folder, _named(folder, "memory.limit_in_bytes", "memory.max")), "r+b"):
            return folder
    except OSError:
        return ""


def move(folder: str, name: str, process: int, memory: int) -> None:
    """Put a process, and all it will make, into a group of its own that may use so many bytes. Raises OSError.

    Of a process that has ended whoever heard of it may have removed the group meanwhile, at any moment.
    """
    os.mkdir(os.path.join(folder, name))
    try:
        bound(folder, name, memory)
        _write(os.path.join(folder, name), "cgroup.procs", str(process))
    except OSError:
        leave(folder, name)
        raise


def enter(folder: str, name: str) -> None:
    """Move into a new group, which `bound` will bound. Raises OSError."""
    group = os.path.join(folder, name)
    os.mkdir(group)
    _write(group, "cgroup.procs", "0")


def bound(folder: str, name: str, memory: int) -> None:
    """Let a group use so many bytes. Raises OSError."""
    group, most = os.path.join(folder, name), str(memory + _FOR_ITSELF)
    _write(group, _named(group, "memory.limit_in_bytes", "memory.max"), most)
    swap, in_all = ("memory.swap.max", "0") if is_second(group) else ("memory.memsw.limit_in_bytes", most)
    if os.path.exists(os.path.join(group, swap)):
        _write(group, swap, in_all)


def leave(folder: str, name: str) -> bool:
    """Remove the group of a run that is gone; whether the system ended a process of it for using too much."""
    group = os.path.join(folder, name)
    try:
        counters = os.path.join(group, _named(group, "memory.oom_control", "memory.events"))
        with open(counters, encoding="ascii") as file:
            was_full = "oom_kill 0" not in file.read().splitlines()
        os.rmdir(group)
    except OSError:  # it never came so far, or the next sweep removes it
        return False
    return was_full


def _sharing(group: str) -> str:
    """The nearest group above, itself included, that shares out memory; of version 2. The root does when it is told to."""
    while "memory" not in _words(group, _SHARED_2):
        if group == _MOUNT_2:
            _write(group, _SHARED_2, "+memory")
            break
        group = os.path.dirname(group)
    return group


def _named(group: str, first: str, second: str) -> str:
    """What a group's file is called, by its version."""
    return second if is_second(group) else first


def _lines(file: Iterable[str]) -> list[list[str]]:
    return [line.rstrip("\n").split(":", 2) for line in file]


def _words(group: str, name: str) -> list[str]:
    """What stands in a group's file; nothing where there is none."""
    try:
        with open(os.path.join(group, name), encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _write(group: str, name: str, text: str) -> None:
    with open(os.path.join(group, name), "wb", buffering=0) as file:
        file.write(text.encode())
