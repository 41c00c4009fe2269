"""Finds out what this machine can enforce (acts): it tries each feature, and does not trust the kernel's version alone."""

import ctypes
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from kernel.cli import machine_disk
from kernel.cli.findings import Finding, attempted, in_child
from kernel.process import cgroup, confine, landlock, machine, mounts, seccomp
from manifests.confinement.layers import LAYERS, Layer
from manifests.confinement.plan import NAMESPACES, PROXY_PORT
from manifests.values import COMPILER_UID, HOMES, UID_BASE, UID_COUNT

_libc: Final = ctypes.CDLL(None, use_errno=True)
_SYS_OPENAT2: Final = 437
_SYS_MOUNT_SETATTR: Final = 442
_LAST_UID: Final = UID_BASE + HOMES * UID_COUNT - 1
_LAYERS: Final = {layer.name: layer for layer in LAYERS}
_LANDLOCK_COMPLETE: Final = 6
_LANDLOCK_SINCE: Final = ((3, "truncating"), (4, "TCP"), (5, "devices"), (6, "signals and abstract sockets"))
"""The Landlock ABI version that has everything Maniple uses; what each version since added."""

_CAPABILITIES: Final = ("SETUID", "SETGID", "SETPCAP", "CHOWN", "FOWNER")
"""Those that root needs to make each run a user of its own."""

_SETTINGS: Final = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)
"""Sysctl settings that forbid user namespaces to ordinary users: name, the value that forbids, one that allows."""

_CONTAINER_OF_USER: Final = (
    "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
)
_CONTAINER_OF_ROOT: Final = f"{_CONTAINER_OF_USER} --cap-add SYS_ADMIN --cap-add NET_ADMIN"
"""Options of Docker and Podman."""

_RISK_WITHOUT: Final = "; without it a run of this user can read the operator's key, and act as the operator"


def inspect(home: str) -> list[Finding]:
    """Check everything, in the order of the report. home: the home's path; it need not exist yet.

    On a system other than Linux nothing is tried, as the attempts use Linux's system call numbers. All layers of a run
    are features of Linux, so every layer is reported missing.
    """
    parts = (_system, _user, _processes, _confinement, machine_disk.inspect) if is_linux() else (_system, _not_linux)
    return [finding for part in parts for finding in part(home)]


def lacking(findings: Sequence[Finding]) -> str:
    """The needed features that are missing, as a list in words; "" if none is."""
    return ", ".join(one.what for one in findings if one.needed and one.state == "missing")


def is_linux() -> bool:
    """Whether this is Linux, the only system that Maniple runs on."""
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


def _not_linux(_: str) -> Iterator[Finding]:
    """The layers of a run on a system other than Linux: none."""
    for layer in LAYERS:
        yield Finding(
            what=layer.name,
            state="missing",
            found=f"Maniple has no such layer on {os.uname().sysname}",
            needed=False,
            why=_what_it_stops(layer),
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
        why=_what_it_stops(layer),
        mend=layer.mend if _has_ids() else f"{layer.mend} outside this container: its root has no ids for runs",
    )


def _has_ids() -> bool:
    """Whether this user namespace maps the user ids that runs get under root."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    return any(first <= COMPILER_UID and first + count > _LAST_UID for first, _, count in ranges)


def _ids_of_runs() -> Iterator[Finding]:
    """As root: whether runs can take their user ids, which a container's user namespace may lack."""
    if os.geteuid() != 0:
        return
    failure = in_child(_become_each_id)
    yield attempted(
        "ids of runs",
        failure and f"{failure}: this root's user namespace does not have them, or root itself lacks capabilities",
        "can be taken",
        needed=True,
        why="as root each run becomes a user of its own, and no Hand starts where it cannot",
        mend="run Maniple as an ordinary user, or as root outside the container, or give the container the ids "
        f"{COMPILER_UID} to {_LAST_UID} and the capabilities {', '.join(_CAPABILITIES)}",
    )


def _become_each_id() -> None:
    """Take the first and last id of runs, and give a file to them; the effective id stays root's. Raises OSError."""
    confine.bound_capabilities()
    confine.check(_libc.setgroups(0, None), "setgroups")
    for uid in (COMPILER_UID, _LAST_UID):
        own, _ = os.pipe()  # a file that everybody may make
        os.fchown(own, uid, uid)
        os.fchmod(own, 0o600)
        confine.check(_libc.setresgid(uid, -1, -1), "setresgid")
        confine.check(_libc.setresuid(uid, -1, -1), "setresuid")


def _processes(_: str) -> Iterator[Finding]:
    yield from _ids_of_runs()
    yield attempted(
        "pidfds",
        in_child(_signal_itself),
        "can be opened, and signals sent by them",
        needed=True,
        why="by them the kernel watches and ends runs; a process id may be another's by then",
        mend="run Maniple outside the sandbox that forbids pidfd_open or pidfd_send_signal",
    )
    root = os.geteuid() == 0
    user = in_child(lambda: confine.unshare(confine.NEWUSER) if root else confine.own_user_namespace())
    yield attempted(
        "user namespaces",
        user,
        "can be made, and ids mapped in them" if not root else "can be made",
        needed=not root,
        why="without root, a run gets its other namespaces only within a user namespace of its own",
        mend=_mend_user_namespaces(),
    )
    pid = in_child(lambda: _as_a_run(lambda: confine.unshare(confine.NEWPID)))
    yield attempted(
        "PID namespaces",
        pid,
        "can be made",
        needed=True,
        why="the death of a run's first process ends everything it started; nothing survives the kernel",
        mend=_mend_namespaces(user, "pid"),
    )
    mapped = in_child(lambda: _check_exists(_libc.syscall(_SYS_MOUNT_SETATTR, -1, b"", 0, None, 0)))
    yield attempted(
        "id-mapped mounts",
        mapped,
        "known to this kernel",
        needed=False,
        why="as root, a folder is shown by it to the run that may write it as its own; without it `files`, `shell` and "
        "Hands with programs do not start",
        mend=_mend_namespaces(user) if pid else "run Linux 5.12 or newer, or Maniple as an ordinary user",
    )
    opened = in_child(lambda: _check_exists(_libc.syscall(_SYS_OPENAT2, -1, b"", None, 0)))
    yield attempted(
        "openat2",
        opened,
        "known to this kernel",
        needed=False,
        why="the Hand `files` opens paths by it, so that no link leads out of a named folder; without it, part by part",
        mend="run Linux 5.6 or newer; an old container runtime may also forbid it",
    )
    yield attempted(
        "oom_score_adj",
        in_child(confine.die_first),
        "can be raised",
        needed=True,
        why="when memory is short, Linux ends runs before anything else; no Hand starts where it would not",
        mend="mount /proc so that it can be written",
    )


def _signal_itself() -> None:
    """Send this process the empty signal by a pidfd. Raises OSError."""
    signal.pidfd_send_signal(os.pidfd_open(os.getpid()), 0)


def _as_a_run(attempt: Callable[[], object]) -> None:
    """Try something as a run would: for an ordinary user, inside a user namespace of its own. Raises OSError."""
    if os.geteuid() != 0:
        confine.own_user_namespace()
    attempt()


def _bring_up_loopback() -> None:
    """Do what a run does so that its programs reach hosts through its proxy. Raises OSError."""
    machine.leave("network")
    confine.listen_on_own_loopback(PROXY_PORT)


def _mend_user_namespaces() -> str:
    """How an ordinary user gets user namespaces: the sysctl settings that forbid them here, or else container options."""
    wrong = [f"{name}={allowing}" for name, forbidding, allowing in _SETTINGS if _setting(name) == forbidding]
    if wrong:
        return (
            f"as root: `sysctl -w {' '.join(wrong)}`, and the same in a file of /etc/sysctl.d; or run Maniple as root"
        )
    return f"no setting of this machine forbids them, so what is around Maniple does: {_CONTAINER_OF_USER}"


def _setting(name: str) -> str:
    """The value of a sysctl setting; "" if this system has no such setting."""
    try:
        with open(f"/proc/sys/{name.replace('.', '/')}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _mend_namespaces(user: str, kind: str = "") -> str:
    """How to get namespaces other than user namespaces. user: why no user namespace can be made; "" if one can. kind: of
    which ones, as Linux's settings name them.
    """
    if _setting(most := f"user.max_{kind}_namespaces") == "0":
        return f"as root: `sysctl -w {most}=15000`, and the same in a file of /etc/sysctl.d"
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
        state="ok" if abi >= _LANDLOCK_COMPLETE else "weak" if abi else "missing",
        found=f"version {abi}{_missing_in_landlock(abi)}" if abi else "not there",
        needed=False,
        why=_what_it_stops(_LAYERS["landlock"]) + ("" if abi or os.geteuid() == 0 else _RISK_WITHOUT),
        mend=_LAYERS["landlock-scopes" if abi else "landlock"].mend,
    )
    has_filters = seccomp.available()
    yield Finding(
        what="seccomp",
        state="ok" if has_filters else "missing",
        found="filters can be installed" if has_filters else "not there",
        needed=False,
        why=_what_it_stops(_LAYERS["seccomp"]),
        mend=_LAYERS["seccomp"].mend,
    )
    user = in_child(lambda: _as_a_run(lambda: None))
    for name in NAMESPACES:
        failure = in_child(lambda name=name: _as_a_run(lambda: machine.leave(name)))  # type: ignore[misc]
        layer = _LAYERS[f"{name}-namespace"]
        yield attempted(
            f"{name} namespaces",
            failure,
            "can be made",
            needed=name == "mount" and os.geteuid() == 0 and bool(in_child(lambda: mounts.leave(["mount"]))),
            why=_what_it_stops(layer),
            mend=_mend_namespaces(user, {"network": "net", "mount": "mnt"}.get(name, name)),
        )
    yield attempted(
        "loopback of runs",
        in_child(lambda: _as_a_run(_bring_up_loopback)),
        "can be brought up",
        needed=False,
        why="programs reach the hosts they are granted through a proxy there; without it no run starts whose programs may be "
        "granted hosts, such as those of `shell`",
        mend=_mend_namespaces(user) if os.geteuid() != 0 else _CONTAINER_OF_ROOT,
    )
    yield _control_groups()


def _what_it_stops(layer: Layer) -> str:
    """Why a layer matters, worded so that nobody reads it as what a run may do."""
    return f"what it stops: {layer.stops}"


def _missing_in_landlock(abi: int) -> str:
    """A clause that names what this older Landlock version does not cover; "" if nothing."""
    left = [what for since, what in _LANDLOCK_SINCE if abi < since]
    return f", which leaves {', '.join(left)} to the other layers" if left else ""


def _control_groups() -> Finding:
    """Check control groups by making one."""
    where = _own_cgroup()
    can = bool(where) and _can_make_group()
    return Finding(
        what="cgroups",
        state="ok" if can else "missing",
        found=where if can else f"{where}: this user cannot make a group there" if where else "none that limits memory",
        needed=False,
        why=_what_it_stops(_LAYERS["cgroup"]),
        mend=_LAYERS["cgroup"].mend if where else _mend_no_groups(),
    )


def _mend_no_groups() -> str:
    """How to get control groups that limit memory where there are none: Linux may have been booted without."""
    disabled = re.findall(r"\bcgroup_disable=(\S+)", _boot_options())
    if "memory" in ",".join(disabled).split(","):
        return (
            "boot Linux without `cgroup_disable=memory`, which a Raspberry Pi adds unless told `cgroup_enable=memory`"
        )
    return _LAYERS["cgroup"].mend


def _boot_options() -> str:
    """The options with which Linux was booted; "" if they cannot be read."""
    try:
        with open("/proc/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _can_make_group() -> bool:
    folder = cgroup.prepare(f"maniple-doctor-{os.getpid()}")
    if folder:
        os.rmdir(folder)
    return folder != ""


def _own_cgroup() -> str:
    """Version and folder of this process's control group; "" if it has none that limits memory."""
    try:
        folder = cgroup.own()
    except OSError:
        folder = ""
    return f"version {1 + cgroup.is_second(folder)} at {folder}" if folder else ""


def _check_exists(result: int) -> None:
    """Raise OSError if a system call made with invalid arguments failed with ENOSYS or EPERM; else the call exists."""
    if result < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM):
        confine.check(result, "the system call")
