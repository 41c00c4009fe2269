"""A control group for each run (acts): bounds the memory of all its processes together. Version 1, where root may make them.

The template makes one folder below its own group, which holds one for each run. To move a process into a group takes the
system up to 20 ms, so a child of the template's does it beside the run's own start, and the Hand's code begins when both
are done; a spare has moved itself before it is anybody's. One that cannot be moved is ended, and its end says why. What a
template that was killed leaves behind, the next one of the same home removes.
"""

import os
from collections.abc import Iterable
from typing import Final

_MOUNT: Final = "/sys/fs/cgroup/memory"
_FOR_ITSELF: Final = 16 * 1024 * 1024
"""Bytes beyond the declared memory: what the kernel keeps for the processes, so that Python hears of a limit first."""


def own() -> str:
    """The folder of this process's own group; "" where there is none of this version. Raises OSError."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        return _memory_group(line.rstrip("\n").split(":", 2) for line in file) or ""


def prepare(name: str) -> str:
    """The folder `name` for the groups of this template's runs, empty; "" where none can be made."""
    try:
        if not (above := own()):
            return ""
        folder = os.path.join(above, name)
        os.makedirs(folder, exist_ok=True)
        for entry in list(os.scandir(folder)):
            if entry.is_dir():
                os.rmdir(entry.path)
        with open(os.path.join(folder, "memory.limit_in_bytes"), "r+b"):
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
    group = os.path.join(folder, name)
    _write(group, "memory.limit_in_bytes", str(memory + _FOR_ITSELF))
    if os.path.exists(os.path.join(group, "memory.memsw.limit_in_bytes")):
        _write(group, "memory.memsw.limit_in_bytes", str(memory + _FOR_ITSELF))


def leave(folder: str, name: str) -> bool:
    """Remove the group of a run that is gone; whether the system ended a process of it for using too much."""
    group = os.path.join(folder, name)
    try:
        with open(os.path.join(group, "memory.oom_control"), encoding="ascii") as file:
            was_full = "oom_kill 0" not in file.read().splitlines()
        os.rmdir(group)
    except OSError:  # it never came so far, or the next sweep removes it
        return False
    return was_full


def _memory_group(lines: Iterable[list[str]]) -> str | None:
    found = next((path for _, controllers, path in lines if "memory" in controllers.split(",")), None)
    return None if found is None else next(filter(os.path.isdir, (_MOUNT + found, _MOUNT)), None)


def _write(group: str, name: str, text: str) -> None:
    with open(os.path.join(group, name), "wb", buffering=0) as file:
        file.write(text.encode())
