"""Makes the system call that applies a layer fail (acts): weakened.py skips layers, this lets applying them fail.

It takes effect in a run's process once the Hand is known, whose description names the layer after BROKEN. A spare process,
and so its control group, belongs to no Hand yet: groups are refused to all runs of a template.
"""

import ctypes
import errno
import os
import resource
from collections.abc import Mapping
from typing import Final, NamedTuple

from kernel.process import cgroup, confine
from kernel.process.landlock import _RESTRICT
from kernel.process.seccomp import _NUMBER, _SET_MODE_FILTER

BROKEN: Final = ", and is refused "


class Refused(NamedTuple):
    """A C library function that fails for these first arguments. error_text: part of the reason with which the run ends."""

    function: str
    error_text: str
    first_arguments: tuple[object, ...] = ()


REFUSED: Final[Mapping[str, Refused]] = {
    "session": Refused("setsid", "setsid"),
    "network-namespace": Refused("unshare", f"unshare {sum(confine.NAMESPACES.values()):#x}"),
    "mount-namespace": Refused("mount", "private mounts"),
    "user-id": Refused("setresuid", "setresuid"),
    "rlimits": Refused("setrlimit", "RLIMIT_NOFILE", (resource.RLIMIT_NOFILE,)),
    "no-new-privileges": Refused("prctl", "prctl 38", confine.NO_NEW_PRIVILEGES),
    "not-dumpable": Refused("prctl", "prctl 4", confine.NOT_DUMPABLE),
    "landlock": Refused("syscall", "landlock_restrict_self", (_RESTRICT,)),
    "capabilities": Refused("capset", "capset"),
    "seccomp": Refused("syscall", "seccomp", (_NUMBER, _SET_MODE_FILTER)),
}
"""The failing function of each layer, by the layer's name."""


def refuse(layer: str) -> None:
    """From now on, fail with EPERM when this process applies that layer."""
    name, _, first_arguments = REFUSED[layer]
    original = getattr(confine.libc, name)

    def fails(*arguments: object) -> object:
        if arguments[: len(first_arguments)] != first_arguments:
            return original(*arguments)
        ctypes.set_errno(errno.EPERM)
        return -1

    setattr(confine.libc, name, fails)


def refuse_groups() -> None:
    """From now on, fail with EPERM when this template moves a run into its control group."""

    def fails(group: str, name: str, text: str) -> None:
        if name == "cgroup.procs":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        original(group, name, text)

    original, cgroup._write = cgroup._write, fails
