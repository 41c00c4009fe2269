"""A system that refuses to lay a layer on (acts): where a weakened kernel lacks layers, here the very call for one fails.

A run's process meets it when it knows whose run it is: its Hand's description names the layer after BROKEN. A spare, and
so a control group, is nobody's yet: those are refused to all runs of a template.
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
    """A function of the C library that fails when its first arguments are these. says: what the end of a run tells then."""

    function: str
    says: str
    first: tuple[object, ...] = ()


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
"""By the name of the layer."""


def refuse(layer: str) -> None:
    """From here on the system answers EPERM when this process would lay that layer on."""
    name, _, first = REFUSED[layer]
    works = getattr(confine.libc, name)

    def fails(*arguments: object) -> object:
        if arguments[: len(first)] != first:
            return works(*arguments)
        ctypes.set_errno(errno.EPERM)
        return -1

    setattr(confine.libc, name, fails)


def refuse_groups() -> None:
    """From here on the system answers EPERM when this template would move a run into its control group."""

    def fails(group: str, name: str, text: str) -> None:
        if name == "cgroup.procs":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        writes(group, name, text)

    writes, cgroup._write = cgroup._write, fails
