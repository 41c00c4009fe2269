"""What this machine can enforce (acts): each question asked of the running kernel itself, not of its version alone."""

import ctypes
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct

from kernel.process import cgroup, confine, landlock, machine, seccomp
from manifests.confinement.layers import LAYERS, Layer
from manifests.confinement.plan import NAMESPACES, PROXY_PORT
from manifests.values import COMPILER_UID, HOMES, UID_BASE, UID_COUNT

State = Literal["ok", "missing", "weak"]


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at. needed: this version does not run without it. why: what it is for."""

    what: str
    state: State
    found: str
    needed: bool
    why: str
    mend: str = ""


_libc: Final = ctypes.CDLL(None, use_errno=True)
_SYS_OPENAT2: Final = 437
_SYS_MOUNT_SETATTR: Final = 442
_LAST_UID: Final = UID_BASE + HOMES * UID_COUNT - 1
_KEEP_SIZE: Final = 1
_MADE_S: Final = 1_767_225_600  # the beginning of 2026: a clock that tells an earlier time is wrong
_LAYERS: Final = {layer.name: layer for layer in LAYERS}
_LANDLOCK_WHOLE: Final = 6
_LANDLOCK_SINCE: Final = ((3, "truncating"), (4, "TCP"), (5, "devices"), (6, "signals and abstract sockets"))
"""The version from which on Landlock has all that Maniple uses, and what came with which."""

_SETTINGS: Final = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)
"""Settings by which systems forbid ordinary users user namespaces, where there are such: being what; what allows them."""

_CONTAINER_OF_USER: Final = (
    "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
)
_CONTAINER_OF_ROOT: Final = f"{_CONTAINER_OF_USER} --cap-add SYS_ADMIN --cap-add NET_ADMIN"
"""By the names of Docker's and Podman's options."""

_OPERATOR: Final = "; without it a run of this user can read the operator's key, and act as the operator"


def look(home: str) -> list[Finding]:
    """Everything, in the order in which people read it. home: a folder on the home's file system, or its path to be.

    Another system than Linux is asked nothing: that would be asked by Linux's numbers of system calls. All layers of a run
    are Linux's, so there it has none of them.
    """
    parts = (_system, _user, _processes, _confinement, _disk) if is_linux() else (_system, _elsewhere)
    return [finding for part in parts for finding in part(home)]


def lacking(findings: Sequence[Finding]) -> str:
    """What is missing of that which this version does not run without, as words; "" for nothing."""
    return ", ".join(one.what for one in findings if one.needed and one.state == "missing")


def is_linux() -> bool:
    """Whether this is the one system that Maniple runs on."""
    return sys.platform == "linux"


def _system(_: str) -> Iterator[Finding]:
    release = os.uname().release
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    yield Finding(
        what="Linux",
        state="ok" if is_linux() and version >= (5, 12) else "missing",
        found=release if is_linux() else f"{os.uname().sysname} {release}",
        needed=True,
        why="pidfds, namespaces and id-mapped mounts of Linux 5.12 keep runs apart",
        mend="run Maniple on Linux 5.12 or newer",
    )
    yield Finding(
        what="Python",
        state="ok" if sys.version_info >= (3, 11) else "missing",
        found=sys.version.split()[0],
        needed=True,
        why="Maniple is written for 3.11 and newer",
        mend="install Python 3.11 or newer, then `./just --list` makes the environment anew",
    )


def _elsewhere(_: str) -> Iterator[Finding]:
    """What another system than Linux has of the layers of a run."""
    for layer in LAYERS:
        yield Finding(
            what=layer.name,
            state="missing",
            found=f"Maniple has no such layer on {os.uname().sysname}",
            needed=False,
            why=_stops(layer),
            mend="",
        )


def _user(_: str) -> Iterator[Finding]:
    root, layer = os.geteuid() == 0, _LAYERS["user-id"]
    yield Finding(
        what="user",
        state="ok" if root else "weak",
        found="root: each run gets a user id of its own"
        if root
        else f"user {os.geteuid()}: all runs have this user's id",
        needed=False,
        why=_stops(layer),
        mend=layer.mend if _has_ids() else f"{layer.mend} outside this container: its root has no ids for runs",
    )


def _has_ids() -> bool:
    """Whether this user namespace has the ids that runs of root's get."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    return any(first <= COMPILER_UID and first + count > _LAST_UID for first, _, count in ranges)


def _ids() -> Iterator[Finding]:
    """As root: whether this user namespace, which may be a container's, has the ids that runs get."""
    if os.geteuid() != 0:
        return
    why_not = _in_child(_take_ids)
    yield _tried(
        "ids of runs",
        why_not and f"{why_not}: this root's user namespace does not have them",
        "can be taken",
        needed=True,
        why="as root each run becomes a user of its own, and no Hand starts where it cannot",
        mend="run Maniple as an ordinary user, or as root outside the container, or give the container the ids "
        f"{COMPILER_UID} to {_LAST_UID}",
    )


def _take_ids() -> None:
    """Have these ids for a moment, as a child's real one: the effective one may take the next. Raises OSError."""
    for uid in (COMPILER_UID, _LAST_UID):
        confine.check(_libc.setresuid(uid, -1, -1), "setresuid")


def _processes(_: str) -> Iterator[Finding]:
    yield from _ids()
    root = os.geteuid() == 0
    user = _in_child(lambda: confine.unshare(confine.NEWUSER) if root else confine.own_user_namespace())
    yield _tried(
        "user namespaces",
        user,
        "can be made, and ids mapped in them" if not root else "can be made",
        needed=not root,
        why="without root, a run gets its other namespaces only within a user namespace of its own",
        mend=_mend_of_user_namespaces(),
    )
    pid = _in_child(lambda: _within(lambda: confine.unshare(confine.NEWPID)))
    yield _tried(
        "PID namespaces",
        pid,
        "can be made",
        needed=True,
        why="the death of a run's first process ends everything it started; nothing survives the kernel",
        mend=_mend_of_namespaces(user),
    )
    mapped = _in_child(lambda: _supported(_libc.syscall(_SYS_MOUNT_SETATTR, -1, b"", 0, None, 0)))
    yield _tried(
        "id-mapped mounts",
        mapped,
        "known to this kernel",
        needed=root,
        why="as root, a named folder is shown to the run that may write it as its own",
        mend=_mend_of_namespaces(user) if pid else "run Linux 5.12 or newer, or Maniple as an ordinary user",
    )
    opened = _in_child(lambda: _supported(_libc.syscall(_SYS_OPENAT2, -1, b"", None, 0)))
    yield _tried(
        "openat2",
        opened,
        "known to this kernel",
        needed=True,
        why="the Hand `files` opens paths by it, so that no link leads out of a named folder",
        mend="run Linux 5.6 or newer; an old container runtime may also forbid it",
    )


def _within(attempt: Callable[[], object]) -> None:
    """Try something as a run's process would, which as an ordinary user has a user namespace of its own. Raises OSError."""
    if os.geteuid() != 0:
        confine.own_user_namespace()
    attempt()


def _loop() -> None:
    """What a run does that its programs may reach hosts from. Raises OSError."""
    machine.leave("network")
    confine.listen_on_own_loopback(PROXY_PORT)


def _mend_of_user_namespaces() -> str:
    """What allows them to an ordinary user: those of the system's settings that forbid them here, or what is around him."""
    wrong = [f"{name}={allowing}" for name, forbidding, allowing in _SETTINGS if _setting(name) == forbidding]
    if wrong:
        return (
            f"as root: `sysctl -w {' '.join(wrong)}`, and the same in a file of /etc/sysctl.d; or run Maniple as root"
        )
    return f"no setting of this machine forbids them, so what is around Maniple does: {_CONTAINER_OF_USER}"


def _setting(name: str) -> str:
    """The value of one of the system's settings; "" where there is none."""
    try:
        with open(f"/proc/sys/{name.replace('.', '/')}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _mend_of_namespaces(user: str) -> str:
    """What gives those namespaces that are forbidden here. user: why no user namespace can be made, "" when one can."""
    if os.geteuid() != 0:
        return (
            "fix user namespaces first, as their row says" if user else "run Maniple outside the container or sandbox"
        )
    ordinary = "" if user else "run Maniple as an ordinary user here, or "
    return f"{ordinary}{_CONTAINER_OF_ROOT}"


def _confinement(_: str) -> Iterator[Finding]:
    abi = landlock.version()
    yield Finding(
        what="Landlock",
        state="ok" if abi >= _LANDLOCK_WHOLE else "weak" if abi else "missing",
        found=f"version {abi}{_lacks_of(abi)}" if abi else "not there",
        needed=False,
        why=_stops(_LAYERS["landlock"]) + ("" if abi or os.geteuid() == 0 else _OPERATOR),
        mend=_LAYERS["landlock-scopes" if abi else "landlock"].mend,
    )
    has_filters = seccomp.available()
    yield Finding(
        what="seccomp",
        state="ok" if has_filters else "missing",
        found="filters can be installed" if has_filters else "not there",
        needed=False,
        why=_stops(_LAYERS["seccomp"]),
        mend=_LAYERS["seccomp"].mend,
    )
    user = _in_child(lambda: _within(lambda: None))
    for name in NAMESPACES:
        why_not = _in_child(lambda name=name: _within(lambda: machine.leave(name)))  # type: ignore[misc]
        layer = _LAYERS[f"{name}-namespace"]
        yield _tried(
            f"{name} namespaces",
            why_not,
            "can be made",
            needed=name == "mount" and os.geteuid() == 0,
            why=_stops(layer),
            mend=_mend_of_namespaces(user),
        )
    yield _tried(
        "loopback of runs",
        _in_child(lambda: _within(_loop)),
        "can be brought up",
        needed=False,
        why="programs reach the hosts they are granted through a proxy there; without it no run starts whose programs may be "
        "granted hosts, such as those of `shell`",
        mend=_mend_of_namespaces(user) if os.geteuid() != 0 else _CONTAINER_OF_ROOT,
    )
    yield _groups()


def _tried(what: str, why_not: str, works: str, *, needed: bool, why: str, mend: str) -> Finding:
    """Of something that was tried. why_not: what went wrong, "" when it works."""
    state: State = "missing" if why_not else "ok"
    return Finding(what=what, state=state, found=why_not or works, needed=needed, why=why, mend=mend)


def _stops(layer: Layer) -> str:
    """Why a layer matters, in words that cannot be read as what a run may do."""
    return f"what it stops: {layer.stops}"


def _lacks_of(abi: int) -> str:
    """What an older Landlock leaves to the other layers."""
    left = [what for since, what in _LANDLOCK_SINCE if abi < since]
    return f", which leaves {', '.join(left)} to the other layers" if left else ""


def _groups() -> Finding:
    """Control groups, tried by making one."""
    where = _cgroup()
    can = confine.is_root() and bool(where) and _makes_groups()
    return Finding(
        what="cgroups",
        state="ok" if can else "missing",
        found=where if can else f"{where}: this user cannot make a group there" if where else "none that limits memory",
        needed=False,
        why=_stops(_LAYERS["cgroup"]),
        mend=_LAYERS["cgroup"].mend,
    )


def _makes_groups() -> bool:
    folder = cgroup.prepare(f"maniple-doctor-{os.getpid()}")
    if folder:
        os.rmdir(folder)
    return folder != ""


def _cgroup() -> str:
    """Where this process's control group lies, and of which version that is; "" where there is none that bounds memory."""
    try:
        folder = cgroup.own()
    except OSError:
        folder = ""
    return f"version {1 + cgroup.is_second(folder)} at {folder}" if folder else ""


def _disk(home: str) -> Iterator[Finding]:
    place = _existing(home)
    free = os.statvfs(place)
    room = free.f_bavail * free.f_frsize
    yield Finding(
        what="disk space",
        state="ok" if room > 256 << 20 else "weak" if room > 32 << 20 else "missing",
        found=f"{room >> 20} MiB free at {place}",
        needed=True,
        why="the log keeps 16 MiB in reserve, and stops effects when it cannot grow",
        mend="make room, or put the home on another disk with --home",
    )
    reserve = _can_reserve(place)
    yield Finding(
        what="fallocate",
        state="ok" if not reserve else "weak",
        found=reserve or f"works at {place}",
        needed=False,
        why="reserves space for the log, so that refusals and reads are recorded even on a full disk",
        mend="put the home on ext4, xfs, btrfs or tmpfs",
    )
    now = time.time()
    yield Finding(
        what="clock",
        state="ok" if now > _MADE_S else "weak",
        found=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)),
        needed=False,
        why="the log's times and the expiry of keys depend on it",
        mend="set it, for instance by `timedatectl set-ntp true`",
    )


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    return path


def _can_reserve(folder: str) -> str:
    """Why room cannot be allocated behind a file's end, "" when it can."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            call = _libc.fallocate
            call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
            return "" if call(file.fileno(), _KEEP_SIZE, 0, 4096) == 0 else os.strerror(ctypes.get_errno())
    except OSError as error:
        return f"cannot be tried: {error.strerror}"


def _supported(result: int) -> None:
    """Of a call whose arguments cannot be right: any error but ENOSYS and EPERM tells that it is there; those are raised."""
    if result < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM):
        confine.check(result, "what was tried")


def _in_child(attempt: Callable[[], object]) -> str:
    """Try something in a process of its own; why it failed, "" when it raised no OSError."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            attempt()
            code = 0
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "" if code == 0 else os.strerror(code) if 0 < code < 200 else "the attempt died"
