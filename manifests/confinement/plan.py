"""From what a Hand asks for and what this machine can do to how its run is walled in (pure).

Separate so that what decides about confinement can be read and tested without a process. `plan` is called in the
run's own process while that is still kernel code; kernel/process/child.py lays on what it says, in its order.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from manifests.confinement import layers
from manifests.confinement.allowed import Profile
from manifests.confinement.landlock import READ, WRITE, WRITE_FILE, Ruleset, ruleset
from manifests.schema import Manifest
from wire.errors import Refusal

NAMESPACES: Final = ("network", "ipc", "mount")
NULL: Final = "/dev/null"


class Machine(Struct, frozen=True, kw_only=True):
    """What was found out about this machine, once, by trying it.

    namespaces: those of NAMESPACES that can be made. landlock: its ABI, 0 without. seccomp: filters can be laid on.
    machine: the architecture as uname tells it. readable: the files and folders that every run needs to read:
    interpreter, libraries, Maniple's own code. online: what a run on the machine's network reads besides.
    """

    is_root: bool
    namespaces: tuple[str, ...]
    landlock: int
    seccomp: bool
    architecture: str
    readable: tuple[str, ...]
    online: tuple[str, ...]


class Plan(Struct, frozen=True, kw_only=True):
    """What is done to one run. unshared: the namespaces that become its own. rules: path or descriptor's name → access.

    profiles: what its system calls are widened by (manifests/confinement/allowed.py). applied: the layers that it has when
    all of the plan is done; missing: those that this machine cannot give it.
    """

    unshared: tuple[str, ...]
    landlock: Ruleset | None
    rules: tuple[tuple[str, int], ...]
    profiles: frozenset[Profile]
    applied: tuple[str, ...]
    missing: tuple[str, ...]


def plan(
    manifest: Manifest, machine: Machine, *, folders: Iterable[str], roots: Iterable[str], required: Iterable[str] = ()
) -> Plan:
    """How a run is walled in. folders: its scratch and state; roots: names of the descriptors that it is given.

    Raises Refusal ("confinement") when a layer is missing that the Hand or the home requires, or when what it may read
    would hold the home; what it asks for besides may not lie in the home either.
    """
    asked, folders = manifest.confinement, tuple(folders)
    is_online = asked.network == "host"
    readable = (*machine.readable, *(machine.online if is_online else ()), *asked.outside_read)
    for path in readable:
        check_outside(path, path, folders, is_asked=path in asked.outside_read)
    applied, missing = _layers(machine, is_online=is_online)
    lacking = [
        layer for layer in layers.LAYERS if layer.name in (*asked.require, *required) if layer.name not in applied
    ]
    if lacking:
        names, mend = ", ".join(one.name for one in lacking), "; ".join(f"{one.name}: {one.mend}" for one in lacking)
        raise Refusal("confinement", f"it requires {names}, which it would not have here ({mend})")
    return Plan(
        unshared=tuple(one for one in NAMESPACES if f"{one}-namespace" in applied),
        landlock=ruleset(machine.landlock, is_online=is_online) if machine.landlock else None,
        rules=(
            *((path, READ) for path in readable), (NULL, READ | WRITE_FILE), *((one, WRITE) for one in (*folders, *roots)),
        ),
        profiles=profiles(is_online=is_online),
        applied=applied,
        missing=missing,
    )  # fmt: skip


def check_outside(path: str, real: str, folders: Iterable[str], *, is_asked: bool) -> None:
    """Raise Refusal if what lies at path, which leads to the real one, would show something of the home.

    folders: of the run, two below the home. is_asked: it is this Hand that wants it, not every run that needs it.
    """
    for folder in folders:
        home = folder.rsplit("/", 2)[0]
        if _holds(real, folder):
            raise Refusal("confinement", f"runs must be able to read {path}, which holds the home: keep it elsewhere")
        if is_asked and (_holds(home, real) or _holds(real, home)):
            raise Refusal("confinement", f"it may not read {path}, which lies in the home")


def profiles(*, is_online: bool) -> frozenset[Profile]:
    """What a run's system calls are widened by."""
    return frozenset([Profile.INET] if is_online else [])


def _layers(machine: Machine, *, is_online: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The layers that a run gets, and those that it lacks; one that it was declared not to want is neither."""
    has = {f"{one}-namespace": one in machine.namespaces for one in NAMESPACES}
    has |= {"landlock": machine.landlock > 0, "seccomp": machine.seccomp, "user-id": machine.is_root}
    spared = {"user-namespace"} if machine.is_root else set()  # its own user id, without capabilities, is more
    spared |= {"network-namespace"} if is_online else set()
    wanted = [name for name in layers.NAMES if name not in spared]
    return (
        tuple(name for name in wanted if has.get(name, True)),
        tuple(name for name in wanted if not has.get(name, True)),
    )


def _holds(above: str, path: str) -> bool:
    return path == above or path.startswith(above.rstrip("/") + "/")
