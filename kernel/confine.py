"""What the operating system is asked to do to a process (acts): system calls that Python 3.11 does not offer itself.

Used by the template and by a run's process while it is still kernel code, never by the kernel. Every function raises
OSError with the name of what failed; a layer that cannot be laid on ends the run, it is never skipped in silence.
"""

import ctypes
import os
import resource
import struct
from collections.abc import Iterable
from typing import Final

from kernel.descriptors import pid_of
from wire.launch import Rlimits

NEWNS: Final = 0x0002_0000
NEWUSER: Final = 0x1000_0000
NEWPID: Final = 0x2000_0000

DIE_WITH_PARENT: Final = (1, 9)
NOT_DUMPABLE: Final = (4, 0)
ADOPT_ORPHANS: Final = (36, 1)
NO_NEW_PRIVILEGES: Final = (38, 1)
"""prctl(2): be killed when the thread that made this process ends; no core file, and no look into its memory by its equals;
become the parent of descendants whose own parent ends; gain no rights from any file that is executed, ever."""

_NOSUID, _NODEV, _NOEXEC, _BIND, _RECURSIVE, _PRIVATE = 2, 4, 8, 1 << 12, 1 << 14, 1 << 18  # mount(2)
_SYS_OPEN_TREE, _SYS_MOUNT_SETATTR = 428, 442  # the same numbers on every architecture
_TREE_CLONE, _AT_EMPTY_PATH, _ATTR_IDMAP = 1, 0x1000, 0x0010_0000

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def control(option: tuple[int, int]) -> None:
    """Set one of the options above on this process."""
    _check(_libc.prctl(*option, 0, 0, 0), f"prctl {option[0]}")


def unshare(flags: int) -> None:
    """Leave the namespaces that flags name; for NEWPID it is the next child that leaves."""
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def enter(namespace: int, flags: int) -> None:
    """Join a namespace by its descriptor."""
    _check(_libc.setns(namespace, flags), f"setns {flags:#x}")


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

    The hard limit of processor time is one second above the soft one, whose signal the run may still hear.
    """
    for which, soft, hard in (
        (resource.RLIMIT_DATA, rlimits.memory, rlimits.memory),
        (resource.RLIMIT_CPU, rlimits.cpu, rlimits.cpu + 1 if rlimits.cpu > 0 else rlimits.cpu),
        (resource.RLIMIT_NPROC, rlimits.processes, rlimits.processes),
        (resource.RLIMIT_NOFILE, rlimits.open_files, rlimits.open_files),
        (resource.RLIMIT_FSIZE, rlimits.file_size, rlimits.file_size),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(which, (soft, hard))


def become(uid: int) -> None:
    """Take a host user id of its own, with the group of the same number and no other; root's capabilities go with it."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def private_mounts() -> None:
    """A mount namespace of its own, from which nothing spreads to the machine's."""
    unshare(NEWNS)
    _check(_libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None), "private mounts")


def make_reachable(paths: Iterable[str]) -> None:
    """Let any user id reach these folders, in this mount namespace only, whatever the modes of the folders above them.

    Where a folder above is closed to others (a Python under /root, a home of mode 0700), an empty, open folder is
    mounted over the topmost such one, and the wanted folders are bound again at their own places inside it: all else
    below it disappears for the runs, which is what one would want.
    """
    wanted = sorted({os.path.realpath(path) for path in paths})
    covers = {path: cover for path in wanted if (cover := _topmost_closed(path)) is not None}
    sources = {path: os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in covers}
    for cover in sorted(set(covers.values())):
        options = b"mode=0755,size=64k"
        _check(_libc.mount(b"none", cover.encode(), b"tmpfs", _NOSUID | _NODEV, options), f"cover {cover}")
    for path, descriptor in sources.items():
        os.makedirs(path, mode=0o755, exist_ok=True)
        source = f"/proc/self/fd/{descriptor}".encode()
        _check(_libc.mount(source, path.encode(), None, _BIND | _RECURSIVE, None), f"bind {path}")
        os.close(descriptor)


def _topmost_closed(path: str) -> str | None:
    """The first folder above path that others may not enter; None when all are open."""
    above = path.split("/")[1:-1]
    for depth in range(1, len(above) + 1):
        folder = "/" + "/".join(above[:depth])
        if not os.stat(folder).st_mode & 0o001:
            return folder
    return None


def map_roots(descriptors: dict[str, int], uid: int) -> None:
    """Put in the place of each `root:NAME` one in which this uid is its owner: what it makes there is the owner's outside.

    An id-mapped mount (Linux 5.12, mount_setattr(2)), detached, without set-uid programs, devices or execution; made in the
    kernel's mount namespace, `mounts`, since this one's shows no more than runs need.
    """
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    enter(descriptors["mounts"], NEWNS)
    for name in [name for name in descriptors if name.startswith("root:")]:
        folder = descriptors[name]
        descriptors[name] = _mapped_tree(folder, uid)
        os.close(folder)
    enter(own, NEWNS)
    os.close(own)
    os.close(descriptors.pop("mounts"))


def _mapped_tree(folder: int, uid: int) -> int:
    owner = os.stat(folder)
    empty = ctypes.c_char_p(b"")
    flags = ctypes.c_uint(_TREE_CLONE | _AT_EMPTY_PATH | os.O_CLOEXEC)
    tree = _check(_libc.syscall(_SYS_OPEN_TREE, folder, empty, flags), "open_tree")
    namespace = _user_namespace(f"{owner.st_uid} {uid} 1", f"{owner.st_gid} {uid} 1")
    try:
        attributes = struct.pack("QQQQ", _ATTR_IDMAP | _NOSUID | _NODEV | _NOEXEC, 0, 0, namespace)
        at = ctypes.c_int(_AT_EMPTY_PATH)
        _check(_libc.syscall(_SYS_MOUNT_SETATTR, tree, empty, at, attributes, len(attributes)), "id-mapped mount")
    finally:
        os.close(namespace)
    return tree


def _user_namespace(uids: str, gids: str) -> int:
    """A descriptor of a new user namespace with these maps, kept alive by nothing but the descriptor."""
    told, tell = os.pipe()
    hold, release = os.pipe()
    child = os.fork()
    if child == 0:
        _libc.unshare(NEWUSER)
        os.write(tell, b"x")
        os.close(release)
        os.read(hold, 1)
        os._exit(0)
    pidfd = os.pidfd_open(child)
    try:
        os.read(told, 1)
        for name, line in (("uid_map", uids), ("gid_map", gids)):
            with open(f"/proc/{pid_of(pidfd)}/{name}", "w") as table:
                table.write(line)
        return os.open(f"/proc/{pid_of(pidfd)}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for descriptor in (pidfd, told, tell, hold, release):
            os.close(descriptor)
        os.waitpid(child, 0)
