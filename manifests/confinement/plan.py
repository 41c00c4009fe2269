"""Plans a run's confinement from its Hand's manifest and the machine's abilities (pure).

Separate so that these decisions can be read and tested without a process. `plan` is called in the run's own process
while that still executes kernel code; kernel/process/child.py applies the plan, in its order.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from manifests.confinement import layers
from manifests.confinement.allowed import Profile
from manifests.confinement.landlock import READ, RUN, SHARE, SINCE, WORK, WRITE, WRITE_FILE, Ruleset, ruleset
from manifests.grants import reaches
from manifests.schema import Manifest
from wire.errors import Refusal

NAMESPACES: Final = ("network", "ipc", "mount")
NULL: Final = "/dev/null"
PROXY_PORT: Final = 3128
"""The port on the run's own loopback where its bridge accepts its programs' outgoing connections."""

SHARED_PART: Final = 16
"""A run's programs may share this part of its memory in files, which only a control group counts as memory."""


class Machine(Struct, frozen=True, kw_only=True):
    """The machine's abilities, probed once.

    namespaces: those of NAMESPACES that can be created. cgroup: the folder for the runs' control groups, "" for none.
    landlock: its ABI version, 0 for none. seccomp: whether filters can be installed. architecture: as uname(2) names it.
    readable: files and folders that every run reads: interpreter, libraries, Maniple's own code. online: what a run on the
    machine's network reads in addition. programs: system folders whose programs may be executed; tools: what these read
    in addition. places: folders that no run needs, so that a `command` Hand's files can be mounted there. shared: where
    programs share memory, "" for nowhere.
    """

    is_root: bool
    namespaces: tuple[str, ...]
    cgroup: str = ""
    landlock: int
    seccomp: bool
    architecture: str
    readable: tuple[str, ...]
    online: tuple[str, ...]
    programs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    shared: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    """The confinement of one run. unshared: its own namespaces. rules: path or descriptor's name → Landlock access.

    ports: TCP ports that it may connect to. place: where a `command` Hand's files are mounted, "" for other Hands. shared:
    where its programs share memory of their own, and how many bytes; None for Hands without programs. proxy:
    whether its loopback is brought up, with a socket that listens there for its bridge. profiles: its additional system
    calls (manifests/confinement/allowed.py). applied: the layers that it has once the plan is applied; missing: those that
    this machine does not support.
    """

    unshared: tuple[str, ...]
    landlock: Ruleset | None
    rules: tuple[tuple[str, int], ...]
    ports: tuple[int, ...]
    place: str
    shared: tuple[str, int] | None
    proxy: bool
    profiles: frozenset[Profile]
    applied: tuple[str, ...]
    missing: tuple[str, ...]


def plan(
    manifest: Manifest, machine: Machine, *, folders: Iterable[str], roots: Iterable[str], required: Iterable[str] = (),
    real: Iterable[str] = (),
) -> Plan:  # fmt: skip
    """Return the plan for a run. folders: its scratch and state; roots: names of the descriptors that it is given; real:
    where its folders, and the paths that it asks to read, really are.

    Raises Refusal ("confinement") if a layer is missing that the Hand or the home requires, or if a path that the run may
    read contains the home; a path that the Hand itself requests may not lie in the home either.
    """
    asked, folders = manifest.confinement, tuple(folders)
    is_online, has_programs = asked.network == "host", asked.programs or bool(manifest.hand.command)
    readable = (*machine.readable, *(machine.online if is_online else ()), *asked.outside_read)
    programs = machine.programs if has_programs else ()
    readable += machine.tools if has_programs else ()
    for path in (*readable, *programs):
        check_outside(path, path, folders, is_asked=path in asked.outside_read)
    applied, missing = _layers(machine, is_online=is_online)
    lacking = [
        layer for layer in layers.LAYERS if layer.name in (*asked.require, *required) if layer.name not in applied
    ]
    if lacking:
        names = ", ".join(one.name for one in lacking)
        mend = "; ".join(f"{one.name}: {_mend(one, machine, is_online=is_online)}" for one in lacking)
        raise Refusal("confinement", f"it requires {names}, which it would not have here ({mend})")
    if asked.scratch == "caller" and machine.is_root and "mount-namespace" not in applied:
        raise Refusal("confinement", "it works in its caller's scratch, which it is shown in a mount-namespace only")
    needed = (*folders, *readable, *programs)
    place = _place(machine, needed, applied) if manifest.hand.command else ""
    may_share = has_programs and "mount-namespace" in applied and _is_free(machine.shared, (*needed, *real))
    proxy = has_programs and "network-namespace" in applied and _connects(manifest)
    return Plan(
        unshared=tuple(one for one in NAMESPACES if f"{one}-namespace" in applied),
        landlock=ruleset(machine.landlock, is_online=is_online) if machine.landlock else None,
        rules=(
            *((path, READ) for path in readable), (NULL, READ | WRITE_FILE),
            *((path, RUN) for path in (*programs, *filter(None, (place,)))),
            *((one, WORK if has_programs else WRITE) for one in folders), *((one, WRITE) for one in roots),
            *(((machine.shared, SHARE),) if may_share else ()),
        ),
        ports=(PROXY_PORT,) if proxy else (),
        place=place,
        shared=(machine.shared, manifest.limits.memory // SHARED_PART) if may_share else None,
        proxy=proxy,
        profiles=profiles_of(is_online=is_online, has_programs=has_programs, has_proxy=proxy, has_roots=asked.roots),
        applied=applied,
        missing=missing,
    )  # fmt: skip


def check_outside(path: str, real: str, folders: Iterable[str], *, is_asked: bool) -> None:
    """Raise Refusal if reading `path`, whose real path is `real`, would give access to the home.

    folders: of the run, two levels below the home. is_asked: the Hand requests the path, rather than every run needing it.
    """
    for folder in folders:
        home = folder.rsplit("/", 2)[0]
        if _contains(real, folder):
            raise Refusal("confinement", f"runs must be able to read {path}, which holds the home: keep it elsewhere")
        if is_asked and (_contains(home, real) or _contains(real, home)):
            raise Refusal("confinement", f"it may not read {path}, which lies in the home")


def profiles_of(*, is_online: bool, has_programs: bool, has_proxy: bool, has_roots: bool) -> frozenset[Profile]:
    """Return the profiles of a run's seccomp filter."""
    needed = {
        Profile.INET: is_online, Profile.EXEC: has_programs, Profile.PROXY: has_proxy, Profile.ROOTS: has_roots,
    }  # fmt: skip
    return frozenset(profile for profile, is_needed in needed.items() if is_needed)


def _connects(manifest: Manifest) -> bool:
    """Whether the Hand requests any connections, which its programs could use."""
    return any(one.allow and reaches(one.method, "web.connect") for one in manifest.capabilities)


def _place(machine: Machine, needed: Iterable[str], applied: Iterable[str]) -> str:
    """Return where to mount the files of a `command` Hand. Raises Refusal without a mount namespace or a usable folder."""
    if "mount-namespace" not in applied:
        mend = next(layer.mend for layer in layers.LAYERS if layer.name == "mount-namespace")
        raise Refusal("confinement", f"a `command` Hand's files need a mount-namespace to be shown in ({mend})")
    paths = tuple(needed)
    for place in machine.places:
        if _is_free(place, paths):
            return place
    tried = ", ".join(machine.places) or "/mnt, /srv, /media or /opt"
    raise Refusal("confinement", f"a `command` Hand's files need a folder to be shown at, and {tried} cannot be one")


def _is_free(place: str, needed: Iterable[str]) -> bool:
    """Whether there is such a folder, and a mount over it hides nothing that the run needs."""
    return place != "" and not any(_contains(place, path) or _contains(path, place) for path in needed)


def _layers(machine: Machine, *, is_online: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the layers that a run gets, and those that it lacks. Layers that it gives up on purpose are in neither."""
    has = {f"{one}-namespace": one in machine.namespaces for one in NAMESPACES}
    has |= {"seccomp": machine.seccomp, "user-id": machine.is_root, "cgroup": machine.cgroup != ""}
    has |= {layer: machine.landlock >= since for layer, since in SINCE.items()}
    spared = {"user-namespace"} if machine.is_root else set()  # its own user id, without capabilities, is more
    spared |= {"network-namespace"} if is_online else set()
    wanted = [name for name in layers.NAMES if name not in spared]
    return (
        tuple(name for name in wanted if has.get(name, True)),
        tuple(name for name in wanted if not has.get(name, True)),
    )


def _mend(layer: layers.Layer, machine: Machine, *, is_online: bool) -> str:
    """Return how to get a layer here; for one that is given up on purpose, what to write instead."""
    if layer.name == "network-namespace" and is_online:
        return 'it is what network = "host" does without, so leave one of the two out'
    if layer.name == "user-namespace" and machine.is_root:
        return "as root each run has a user-id of its own in its place, so require that"
    return layer.mend


def _contains(above: str, path: str) -> bool:
    return path == above or path.startswith(above.rstrip("/") + "/")
