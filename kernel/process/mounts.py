"""Mounts of the template and of a run (acts): what is reachable, by whom, and from where nothing can be executed.

Used by the template and by a run's process while it is still kernel code. Every function raises OSError, naming what
failed. open_tree, move_mount and mount_setattr need Linux 5.12.
"""

import ctypes
import os
import struct
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from kernel.descriptors import close_all, pid_of
from kernel.process.confine import NAMESPACES, NEWNS, NEWUSER, check, enter, libc, unshare

_READ_ONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8  # mount(2), and the same in mount_setattr(2)
_BIND, _RECURSIVE, _PRIVATE = 1 << 12, 1 << 14, 1 << 18
_PAGE: Final = 4096
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442  # the same numbers on every architecture
_TREE_CLONE, _AT_EMPTY_PATH, _ATTR_IDMAP, _FROM_EMPTY_PATH = 1, 0x1000, 0x0010_0000, 4
_HERE, _ALL_BELOW = -100, 0x8000
_EMPTY: Final = ctypes.c_char_p(b"")


def leave(namespaces: Collection[str]) -> None:
    """Leave these of confine.NAMESPACES. Mounts in a new mount namespace are private: no other sees changes to them."""
    unshare(sum(NAMESPACES[name] for name in namespaces))
    if "mount" in namespaces:
        check(libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None), "private mounts")


def seal(own: Iterable[str], uid: int | None) -> None:
    """Make this mount namespace read-only, except for the folders `own`, which are nosuid, nodev and noexec.

    Landlock guards contents and names; only a read-only mount guards modes, owners, times and attributes. uid: the owner of
    these folders in this namespace. One that is lent to the run has another owner outside, who will own what is made there.
    """
    trees = {path.encode(): _own_tree(path, uid) for path in own}
    _set(_HERE, _READ_ONLY, path=b"/", flags=_ALL_BELOW)
    for path, tree in trees.items():
        check(libc.syscall(_SYS_MOVE_MOUNT, tree, _EMPTY, _HERE, path, _FROM_EMPTY_PATH), "move_mount")
        os.close(tree)


def _own_tree(path: str, uid: int | None) -> int:
    """Return a detached mount of one of a run's own folders, in which this user id is the owner."""
    folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if uid is not None and os.stat(folder).st_uid != uid:
            return _mapped_tree(folder, uid)
        tree = _tree(folder)
        _set(tree, _NOSUID | _NODEV | _NOEXEC)
        return tree
    finally:
        os.close(folder)


def show(files: Mapping[str, bytes], place: str) -> None:
    """Mount these files, and nothing else, at this folder of this mount namespace: all may read and execute them, none may
    change them.
    """
    size = sum(len(content) // _PAGE + 1 for content in files.values()) * _PAGE
    _mount_memory(place, f"mode=0755,size={size + _PAGE}")
    before = os.umask(0o022)
    for path, content in files.items():
        file = os.path.join(place, path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "xb", opener=lambda name, flags: os.open(name, flags, 0o755)) as opened:
            opened.write(content)
    os.umask(before)
    _set(_HERE, _READ_ONLY, path=place.encode(), flags=0)


def share(place: str, size: int) -> None:
    """Mount an empty file system in memory at this folder of this mount namespace, with which it ends: what this run's
    programs share (shm_overview(7)). size: bytes that its files may take. There may be 1,024 of them, which bounds the
    memory that the system needs for their names.
    """
    _mount_memory(place, f"mode=1777,size={size},nr_inodes=1024", _NOEXEC)


def make_reachable(paths: Iterable[str]) -> None:
    """Let any user id reach these folders, in this mount namespace only, whatever the modes of the folders above them.

    If a folder above is closed to others (a Python under /root, a home of mode 0700), an empty, open folder is mounted over
    the topmost such one, and the wanted folders are bound again at their own places inside it. All else below it is hidden
    from runs, which is intended.
    """
    wanted = sorted({os.path.realpath(path) for path in paths})
    covers = {path: cover for path in wanted if (cover := _topmost_closed(path)) is not None}
    sources = {path: os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in covers}
    for cover in sorted(set(covers.values())):
        _mount_memory(cover, "mode=0755,size=64k")
    for path, descriptor in sources.items():
        os.makedirs(path, mode=0o755, exist_ok=True)
        source = f"/proc/self/fd/{descriptor}".encode()
        check(libc.mount(source, path.encode(), None, _BIND | _RECURSIVE, None), f"bind {path}")
        os.close(descriptor)


def _mount_memory(place: str, options: str, flags: int = 0) -> None:
    """Mount a file system in memory, without devices and set-uid programs, at this folder of this mount namespace."""
    check(libc.mount(b"none", place.encode(), b"tmpfs", _NOSUID | _NODEV | flags, options.encode()), f"mount {place}")


def _topmost_closed(path: str) -> str | None:
    """Return the first folder above path that others may not enter; None if all are open."""
    above = path.split("/")[1:-1]
    for depth in range(1, len(above) + 1):
        folder = "/" + "/".join(above[:depth])
        if not os.stat(folder).st_mode & 0o001:
            return folder
    return None


def map_roots(descriptors: dict[str, int], uid: int) -> None:
    """Replace each `root:NAME` by a mount in which this uid is the owner; files made there belong to the real owner outside.

    It is an id-mapped mount (Linux 5.12, mount_setattr(2)), detached, nosuid, nodev and noexec. It is made in the kernel's
    mount namespace, `mounts`, since this process's shows only what runs need.
    """
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    enter(descriptors["mounts"], NEWNS)
    for name in [name for name in descriptors if name.startswith("root:")]:
        folder = descriptors[name]
        descriptors[name] = _mapped_tree(folder, uid)
        os.close(folder)
    enter(own, NEWNS)
    close_all((own, descriptors.pop("mounts")))


def _mapped_tree(folder: int, uid: int) -> int:
    """Return a detached id-mapped mount of a folder, in which this user id stands for the folder's owner."""
    owner = os.stat(folder)
    tree = _tree(folder)
    namespace = _user_namespace(f"{owner.st_uid} {uid} 1", f"{owner.st_gid} {uid} 1")
    try:
        _set(tree, _ATTR_IDMAP | _NOSUID | _NODEV | _NOEXEC, namespace)
    finally:
        os.close(namespace)
    return tree


def _tree(folder: int) -> int:
    """Return a descriptor of a detached mount of this folder."""
    return check(libc.syscall(_SYS_OPEN_TREE, folder, _EMPTY, _TREE_CLONE | _AT_EMPTY_PATH | os.O_CLOEXEC), "open_tree")


def _set(tree: int, attributes: int, namespace: int = 0, *, path: bytes = b"", flags: int = _AT_EMPTY_PATH) -> None:
    """Set attributes of a mount by mount_setattr(2)."""
    packed = struct.pack("QQQQ", attributes, 0, 0, namespace)
    size = ctypes.c_size_t(len(packed))
    check(libc.syscall(_SYS_MOUNT_SETATTR, tree, ctypes.c_char_p(path), flags, packed, size), "mount_setattr")


def _user_namespace(uids: str, gids: str) -> int:
    """Return the descriptor of a new user namespace with these maps. Only the descriptor keeps it alive."""
    done, tell = os.pipe()
    hold, release = os.pipe()
    if (child := os.fork()) == 0:
        libc.unshare(NEWUSER)
        os.write(tell, b"x")
        os.close(release)
        os.read(hold, 1)
        os._exit(0)
    pidfd = os.pidfd_open(child)
    try:
        os.read(done, 1)
        for name, line in (("uid_map", uids), ("gid_map", gids)):
            with open(f"/proc/{pid_of(pidfd)}/{name}", "w") as table:
                table.write(line)
        return os.open(f"/proc/{pid_of(pidfd)}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for descriptor in (pidfd, done, tell, hold, release):
            os.close(descriptor)
        os.waitpid(child, 0)
