"""What the operating system is asked to do to a process (acts): system calls that Python 3.11 does not offer itself.

Used by the template and by a run's process while it is still kernel code, never by the kernel. Every function raises
OSError with the name of what failed; a layer that cannot be laid on ends the run, it is never skipped in silence.
"""

import ctypes
import errno
import os
import resource
import socket
import struct
from typing import Final

from wire.launch import Rlimits

NEWNS: Final = 0x0002_0000
NEWUSER: Final = 0x1000_0000
NEWPID: Final = 0x2000_0000
NEWIPC: Final = 0x0800_0000
NEWNET: Final = 0x4000_0000
NAMESPACES: Final = {"network": NEWNET, "ipc": NEWIPC, "mount": NEWNS}
"""By the names that a plan (manifests/confinement/plan.py) has for them."""

DIE_WITH_PARENT: Final = (1, 9)
NOT_DUMPABLE: Final = (4, 0)
ADOPT_ORPHANS: Final = (36, 1)
NO_NEW_PRIVILEGES: Final = (38, 1)
"""prctl(2): be killed when the thread that made this process ends; no core file, and no look into its memory by its equals;
become the parent of descendants whose own parent ends; gain no rights from any file that is executed, ever."""

_BOUND_DROP, _AMBIENT, _AMBIENT_CLEAR = 24, 47, 4  # prctl(2)
_CAPABILITY_VERSION: Final = 0x2008_0522  # capset(2)
_SET_FLAGS, _UP = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP: netdevice(7)
_STACK: Final = 8 * 1024 * 1024  # bytes: what Linux gives a process unless told otherwise
_UNLIMITED: Final = 1 << 64  # less one, as -1 is
_OOM_SCORE: Final = b"500"  # of -1000 to 1000, see proc(5)

libc: Final = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def check(result: int, what: str) -> int:
    """The result of a system call. Raises OSError, naming what it was for, when it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def control(option: tuple[int, int]) -> None:
    """Set one of the options above on this process."""
    check(libc.prctl(*option, 0, 0, 0), f"prctl {option[0]}")


def unshare(flags: int) -> None:
    """Leave the namespaces that flags name; for NEWPID it is the next child that leaves."""
    check(libc.unshare(flags), f"unshare {flags:#x}")


def enter(namespace: int, flags: int) -> None:
    """Join a namespace by its descriptor."""
    check(libc.setns(namespace, flags), f"setns {flags:#x}")


def own_user_namespace() -> None:
    """A user namespace of its own for an ordinary user's process, in which its ids stay what they were outside."""
    ids = (("uid_map", os.geteuid()), ("gid_map", os.getegid()))
    unshare(NEWUSER)
    with open("/proc/self/setgroups", "w") as setgroups:
        setgroups.write("deny")
    for name, number in ids:
        with open(f"/proc/self/{name}", "w") as table:
            table.write(f"{number} {number} 1")


def limit(rlimits: Rlimits) -> None:
    """Lay the resource limits on this process and its future children. Memory is RLIMIT_DATA: RLIMIT_AS breaks threads.

    The hard limit of processor time is one second above the soft one, whose signal the run may still hear. The stack counts
    as no data, so nobody may raise what it has. Where this process has a lower hard limit itself, as of the `ulimit` of the
    shell that started the kernel, that one holds, also for root.
    """
    for which, soft, hard in (
        ("RLIMIT_DATA", rlimits.memory, rlimits.memory),
        ("RLIMIT_CPU", rlimits.cpu, rlimits.cpu + 1 if rlimits.cpu > 0 else rlimits.cpu),
        ("RLIMIT_NPROC", rlimits.processes, rlimits.processes),
        ("RLIMIT_NOFILE", rlimits.open_files, rlimits.open_files),
        ("RLIMIT_FSIZE", rlimits.file_size, rlimits.file_size),
        ("RLIMIT_STACK", _STACK, _STACK), ("RLIMIT_CORE", 0, 0),
    ):  # fmt: skip
        most = resource.getrlimit(getattr(resource, which))[1] % _UNLIMITED
        wanted = struct.pack("=QQ", min(soft % _UNLIMITED, most), min(hard % _UNLIMITED, most))
        check(libc.setrlimit(getattr(resource, which), wanted), which)


def become(uid: int) -> None:
    """Take a host user id of its own, with the group of the same number and no other; root's capabilities go with it."""
    check(libc.setgroups(0, None), "setgroups")
    check(libc.setresgid(uid, uid, uid), "setresgid")
    check(libc.setresuid(uid, uid, uid), "setresuid")


def listen_on_own_loopback(port: int) -> int:
    """Bring up the loopback of this network namespace, which is this process's own; a socket that listens there."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    check(libc.ioctl(listener.fileno(), _SET_FLAGS, struct.pack("16sH22x", b"lo", _UP)), "bringing up its own loopback")
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener.detach()


def is_root() -> bool:
    """Whether this process may take user ids."""
    return os.geteuid() == 0


def die_first() -> None:
    """When memory is short, this process is ended before others."""
    with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(_OOM_SCORE)


def bound_capabilities() -> None:
    """No file that is executed can give this process a capability, whatever its ids. Needs CAP_SETPCAP."""
    number = 0
    while libc.prctl(_BOUND_DROP, number, 0, 0, 0) >= 0:
        number += 1
    if ctypes.get_errno() != errno.EINVAL or number == 0:  # EINVAL: there is no such capability
        check(-1, f"dropping capability {number}")


def drop_capabilities() -> None:
    """None is held, may be taken up, or is handed on."""
    control((_AMBIENT, _AMBIENT_CLEAR))
    check(libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)), "capset")
