"""Runs a command as on a machine that forbids more than this one (acts): such as Ubuntu, containers, sandboxes.

    python -m tests.stricter PLACE COMMAND…

PLACE is a name of PLACES. A seccomp filter and Landlock restrict the command and all that it starts; both need no privilege,
so an ordinary user can run this, too. Exits with NOT_MOUNTED if they are not available.
"""

import errno
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from kernel.process import confine, landlock, seccomp
from manifests.confinement.landlock import WRITE_FILE, Ruleset
from manifests.confinement.program import ARGUMENTS, EQUAL, FORMAT, LOAD, NUMBER, RETURN, Instruction
from tests.kernel.filtered import HERE
from tests.small_disk import NOT_MOUNTED

_ALLOW, _REFUSE, _ANY_BIT = (
    0x7FFF_0000,
    0x0005_0000,
    0x45,
)  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO; BPF_JMP|BPF_JSET|BPF_K
_ANY_NAMESPACE: Final = 0x7E02_0000  # every CLONE_NEW… but that of time, which clone(2) does not take
_SET_FLAGS: Final = 0x8914  # SIOCSIFFLAGS: netdevice(7)
_MOUNTS: Final = ("mount", "umount2", "pivot_root", "move_mount", "mount_setattr", "open_tree", "fsopen", "fsmount")


def _forbid(calls: Mapping[str, int], namespaces: Callable[[], list[Instruction]] = list) -> None:
    """Install a filter under which these system calls fail with an errno; `namespaces` adds checks before them."""
    program = [Instruction(LOAD, NUMBER), *namespaces()]
    for name, number in calls.items():
        program += [Instruction(EQUAL, HERE.numbers[name], 0, 1), Instruction(RETURN, _REFUSE | number)]
    confine.control(confine.NO_NEW_PRIVILEGES)
    seccomp.lay_on(
        b"".join(
            FORMAT.pack(one.operation, one.when, one.otherwise, one.value)
            for one in (*program, Instruction(RETURN, _ALLOW))
        )
    )


def _no_namespaces() -> list[Instruction]:
    """Forbid new namespaces by any call; clone3, which the C library tries first, answers ENOSYS, as in containers."""
    code = [Instruction(EQUAL, HERE.numbers["clone3"], 0, 1), Instruction(RETURN, _REFUSE | errno.ENOSYS)]
    for name in ("unshare", "clone"):
        code += [
            Instruction(EQUAL, HERE.numbers[name], 0, 4), Instruction(LOAD, ARGUMENTS),
            Instruction(_ANY_BIT, _ANY_NAMESPACE, 0, 1), Instruction(RETURN, _REFUSE | errno.EPERM),
            Instruction(RETURN, _ALLOW),
        ]  # fmt: skip
    return code


def _only_with_user_namespace() -> list[Instruction]:
    """Allow new namespaces only together with a user namespace: the system checks that before it is entered."""
    return [
        Instruction(EQUAL, HERE.numbers["unshare"], 0, 6), Instruction(LOAD, ARGUMENTS),
        Instruction(_ANY_BIT, confine.NEWUSER, 0, 1), Instruction(RETURN, _ALLOW),
        Instruction(_ANY_BIT, _ANY_NAMESPACE, 0, 1), Instruction(RETURN, _REFUSE | errno.EPERM), Instruction(RETURN, _ALLOW),
    ]  # fmt: skip


def _no_interfaces() -> list[Instruction]:
    """Forbid bringing up network interfaces: ioctl(2) with SIOCSIFFLAGS."""
    return [
        Instruction(EQUAL, HERE.numbers["ioctl"], 0, 4), Instruction(LOAD, ARGUMENTS + 8),
        Instruction(EQUAL, _SET_FLAGS, 0, 1), Instruction(RETURN, _REFUSE | errno.EPERM), Instruction(RETURN, _ALLOW),
    ]  # fmt: skip


def _apparmor() -> None:
    """As Ubuntu since 24.04: a user namespace can be made, but gives no capability, so no id can be mapped in it."""
    writable = [(str(path), WRITE_FILE) for path in Path("/").iterdir() if path.is_dir() and path.name != "proc"]
    confine.control(confine.NO_NEW_PRIVILEGES)
    landlock.lay_on(Ruleset(files=WRITE_FILE, network=0, scoped=0), writable, (), lambda *_: None)
    _forbid(dict.fromkeys((*_MOUNTS, "setns", "sethostname"), errno.EPERM), _only_with_user_namespace)


def _container() -> None:
    """As a container engine's default filter: no namespaces and no mounts."""
    _forbid(dict.fromkeys((*_MOUNTS, "setns", "keyctl", "bpf", "open_by_handle_at"), errno.EPERM), _no_namespaces)


def _no_mounts() -> None:
    """Namespaces but no mounts in them, nor files in memory: as by some AppArmor profiles of containers, and sandboxes.

    A setting (vm.memfd_noexec=2) forbids the latter, unless they are sealed against execution.
    """
    _forbid(dict.fromkeys((*_MOUNTS, "memfd_create"), errno.EACCES))


def _no_loopback() -> None:
    """Namespaces and mounts but no interface: as a container's root with CAP_SYS_ADMIN, but not CAP_NET_ADMIN."""
    _forbid({}, _no_interfaces)


def _no_pidfds() -> None:
    """Processes can be named by their ids alone, as under a sandbox that is older than pidfds."""
    _forbid({"pidfd_send_signal": errno.ENOSYS})


def _old_runtime() -> None:
    """Mounts, but no call that is newer than the container engine, such as those that open paths beneath a folder."""
    _forbid(dict.fromkeys(("openat2", "mount_setattr"), errno.ENOSYS))


PLACES: Final[Mapping[str, Callable[[], None]]] = {
    "apparmor": _apparmor,
    "container": _container,
    "no-mounts": _no_mounts,
    "no-loopback": _no_loopback,
    "no-pidfds": _no_pidfds,
    "old-runtime": _old_runtime,
}


def main(place: str, command: list[str]) -> None:
    """Restrict this process, then execute the command."""
    if not seccomp.available() or (place == "apparmor" and not landlock.version()):
        sys.exit(NOT_MOUNTED)
    PLACES[place]()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
