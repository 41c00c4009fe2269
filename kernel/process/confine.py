"""System calls for confinement that Python 3.11 does not offer (acts).

Used by the template and by a run's process while it is still kernel code, never by the kernel. Every function raises
OSError, naming the call that failed; a layer that cannot be applied ends the run, and is never skipped silently.
"""

import ctypes
import errno
import os
import resource
import socket
import struct
from contextlib import suppress
from typing import Final

from wire.launch import Rlimits

NEWNS, NEWUSER, NEWPID, NEWIPC, NEWNET = 0x0002_0000, 0x1000_0000, 0x2000_0000, 0x0800_0000, 0x4000_0000
NAMESPACES: Final = {"network": NEWNET, "ipc": NEWIPC, "mount": NEWNS}
"""Flags by the names that plans use (manifests/confinement/plan.py)."""

DIE_WITH_PARENT, NOT_DUMPABLE, ADOPT_ORPHANS, NO_NEW_PRIVILEGES = (1, 9), (4, 0), (36, 1), (38, 1)
NO_HUGE_PAGES = (41, 1)
"""prctl(2): be killed when the thread that made this process ends; dump no core, and let no process of the same user read its
memory; become the parent of descendants whose own parent ends; never gain rights from a file that is executed; have no
transparent huge pages, nor have its children."""

_BOUND_DROP, _AMBIENT, _AMBIENT_CLEAR = 24, 47, 4  # prctl(2)
_CAPABILITY_VERSION: Final = 0x2008_0522  # capset(2)
_SET_FLAGS, _UP = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP: netdevice(7)
_STACK, _LOCKED = 8 << 20, 1 << 20  # bytes: what Linux gives a stack unless told otherwise; of memory that is locked
_NO_CORE: Final = 1  # bytes: too few for a file; 0 keeps none from a program to which they are piped, see core(5)
_SIGNALS: Final = 1_024  # that wait: Linux counts them per user, also those that timers may need
_UNLIMITED: Final = 1 << 64  # modulo this, -1 is RLIM_INFINITY
_ON_THEIR_WAY: Final = 512  # descriptors: two packets' worth, see limit()
_WAITING: Final = 128 << 10  # bytes that may wait at each end of a connection of a run's own loopback
_OOM_SCORE: Final = b"500"  # of -1000 to 1000, see proc(5)

libc: Final = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def check(result: int, what: str) -> int:
    """Return the result of a system call. Raises OSError, naming `what`, if the call failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def control(option: tuple[int, int]) -> None:
    """Set one of the options above on this process."""
    check(libc.prctl(*option, 0, 0, 0), f"prctl {option[0]}")


def unshare(flags: int) -> None:
    """Leave the namespaces that flags name. For NEWPID only children leave, from the next on."""
    check(libc.unshare(flags), f"unshare {flags:#x}")


def enter(namespace: int, flags: int) -> None:
    """Join a namespace by its descriptor."""
    check(libc.setns(namespace, flags), f"setns {flags:#x}")


def own_user_namespace() -> None:
    """Give an ordinary user's process a user namespace of its own, in which its ids stay as they are outside."""
    ids = (("uid_map", os.geteuid()), ("gid_map", os.getegid()))
    unshare(NEWUSER)
    with open("/proc/self/setgroups", "w") as setgroups:
        setgroups.write("deny")
    for name, number in ids:
        with open(f"/proc/self/{name}", "w") as table:
            table.write(f"{number} {number} 1")


def limit(rlimits: Rlimits) -> None:
    """Set the resource limits of this process and its future children. Memory is RLIMIT_DATA: RLIMIT_AS breaks threads.

    The hard limit of processor time is one second above the soft one, so that the run can handle the soft limit's signal.
    RLIMIT_DATA does not count the stack, so that has a limit of its own. Where this process has a lower hard limit itself,
    such as from `ulimit` in the shell that started the kernel, that one holds, for root too. A run has fewer descriptors than
    the kernel: Linux refuses to send one while more are in flight than the sender may have open, counted per user.
    """
    for which, soft, hard in (
        ("RLIMIT_DATA", rlimits.memory, rlimits.memory),
        ("RLIMIT_CPU", rlimits.cpu, rlimits.cpu + 1 if rlimits.cpu > 0 else rlimits.cpu),
        ("RLIMIT_NPROC", rlimits.processes, rlimits.processes),
        ("RLIMIT_NOFILE", rlimits.open_files, rlimits.open_files),
        ("RLIMIT_FSIZE", rlimits.file_size, rlimits.file_size), ("RLIMIT_MEMLOCK", _LOCKED, _LOCKED),
        ("RLIMIT_STACK", _STACK, _STACK), ("RLIMIT_CORE", _NO_CORE, _NO_CORE), ("RLIMIT_SIGPENDING", _SIGNALS, _SIGNALS),
    ):  # fmt: skip
        most = resource.getrlimit(getattr(resource, which))[1] % _UNLIMITED
        if which == "RLIMIT_NOFILE" and most >= 2 * _ON_THEIR_WAY:
            most -= _ON_THEIR_WAY
        wanted = struct.pack("=QQ", min(soft % _UNLIMITED, most), min(hard % _UNLIMITED, most))
        check(libc.setrlimit(getattr(resource, which), wanted), which)


def become(uid: int) -> None:
    """Take this user id, with the group of the same number and no other. Root loses its capabilities by this."""
    check(libc.setgroups(0, None), "setgroups")
    check(libc.setresgid(uid, uid, uid), "setresgid")
    check(libc.setresuid(uid, uid, uid), "setresuid")


def listen_on_own_loopback(port: int) -> int:
    """Bring up the loopback of this process's own network namespace. Returns the descriptor of a socket listening there.

    What waits in its connections is memory of the system's, some 4 MB each unless bounded here; where /proc/sys cannot be
    written, as in many containers, it is not.
    """
    for direction in ("rmem", "wmem"):
        with suppress(OSError), open(f"/proc/sys/net/ipv4/tcp_{direction}", "w", encoding="ascii") as least_usual_most:
            least_usual_most.write(f"4096 {_WAITING} {_WAITING}")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    check(libc.ioctl(listener.fileno(), _SET_FLAGS, struct.pack("16sH22x", b"lo", _UP)), "bringing up its own loopback")
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener.detach()


def die_first() -> None:
    """Let Linux kill this process before others when memory is short."""
    with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(_OOM_SCORE)


def bound_capabilities() -> None:
    """Empty the bounding set, so that no file that is executed can give this process a capability. Needs CAP_SETPCAP."""
    number = 0
    while libc.prctl(_BOUND_DROP, number, 0, 0, 0) >= 0:
        number += 1
    if ctypes.get_errno() != errno.EINVAL or number == 0:  # EINVAL: there is no such capability
        check(-1, f"dropping capability {number}")


def drop_capabilities() -> None:
    """Drop all capabilities: permitted, effective, inheritable and ambient."""
    control((_AMBIENT, _AMBIENT_CLEAR))
    check(libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)), "capset")
