"""A kernel without some layers, to show that attacks succeed without them (acts); only tests can start it.

Entry points of the kernel's and the template's processes. A run lacks the layers that its Hand's description names
(puppet.py), so one such kernel serves nearly all attacks. Layers that cannot be removed from one run alone are listed in the
home's file `weakened`, one per line: TEMPLATE_LAYERS, and decisions of the kernel itself, KERNEL_LAYERS. The kernel passes
them to the template in front of the modules to preload.
"""

import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from kernel import bus, events, exchange, launcher, router, watch
from kernel import main as kernel_main
from kernel.process import cgroup, child, confine, mounts, spare, template
from kernel.runs import Peer, Run
from manifests import schema
from manifests.confinement.plan import NAMESPACES, Machine, Plan
from tests.attacks.broken import BROKEN, refuse, refuse_groups
from tests.attacks.puppet import LACKS
from wire.headers import Done
from wire.launch import Launch
from wire.rates import Rate

TEMPLATE_LAYERS: Final = frozenset(
    {"cgroup", "broken-cgroup", "descriptors", "environment", "pid-namespace", "own-pid-namespace"}
)
"""Layers that are applied before the run's Hand is known. own-pid-namespace: removes the run's PID namespace but keeps the
template's, for attacks that would otherwise reach the whole machine, not only Maniple's runs."""


_LANDLOCK_WITHOUT: Final = {"landlock": 0, "landlock-tcp": 3, "landlock-scopes": 5}
"""The newest Landlock version without the layer."""


def main(arguments: list[str]) -> None:
    """Run a kernel if the first argument is a home, a template if it is a descriptor."""
    if arguments[0].isdigit():
        words, preload = arguments[1].split("|")
        kernel, *taken = words.split()
        _weaken_template(frozenset(taken), kernel)
        template.main([arguments[0], preload, *arguments[2:]])
        return
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]  # most systems begin with 0, and leave it to each to want more
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    layers = frozenset(Path(arguments[0], "weakened").read_text().split())
    for name in layers - TEMPLATE_LAYERS:
        KERNEL_LAYERS[name]()
    if "environment" in layers:
        _hand_environment_on()
    words = " ".join([str(os.getpid()), *(layers & TEMPLATE_LAYERS)])
    launcher.TEMPLATE = "tests.attacks.weakened"  # type: ignore[misc]
    launcher.PRELOAD = f"{words}|{launcher.PRELOAD}"  # type: ignore[misc]
    kernel_main.main(arguments)


def _weaken_template(taken: frozenset[str], kernel: str) -> None:
    planned = child._planned

    def planned_weakly(launch: Launch, found: Machine) -> Plan:
        description = schema.decode(launch.manifest).hand.description
        for layer in description.partition(BROKEN)[2].split():
            refuse(layer)
        layers = frozenset(description.partition(LACKS)[2].split())
        if "user-id" in layers and launch.uid is not None:
            os.chown(launch.scratch, 0, 0)  # the run must be able to use it
        return planned(launch, _weaken_run(layers, found, kernel) if layers else found)

    child._planned = planned_weakly
    spare.Spares.wanted = _do_nothing  # type: ignore[method-assign]  # a spare would already have the layers to remove
    if "cgroup" in taken:
        cgroup.prepare = lambda name: ""
    if "broken-cgroup" in taken:
        refuse_groups()
    if "descriptors" in taken:
        os.closerange = _do_nothing
    if "environment" in taken:
        os.environ.clear = _do_nothing  # type: ignore[method-assign]
    if taken & {"pid-namespace", "own-pid-namespace"}:
        _keep_pid_namespace(keep_own="own-pid-namespace" in taken)


def _keep_pid_namespace(*, keep_own: bool) -> None:
    """Make no PID namespace for runs; keep_own: the template still makes its own, the first."""
    unshare, remaining = confine.unshare, [keep_own]

    def fewer(flags: int) -> None:
        if flags == confine.NEWPID and not (remaining and remaining.pop()):
            return
        unshare(flags)

    confine.unshare = fewer
    confine.enter = _do_nothing


def _weaken_run(layers: frozenset[str], found: Machine, kernel: str) -> Machine:
    """Disable layers in this process, which becomes a run; returns the machine's abilities without those layers."""
    control = confine.control
    options = {"no-new-privileges": confine.NO_NEW_PRIVILEGES, "not-dumpable": confine.NOT_DUMPABLE}
    skipped = {options[name] for name in layers if name in options}
    confine.control = lambda option: None if option in skipped else control(option)
    for layer, names in {
        "rlimits": ("limit",), "user-id": ("become",), "capabilities": ("drop_capabilities", "bound_capabilities"),
    }.items():  # fmt: skip
        for name in names if layer in layers else ():
            setattr(confine, name, _do_nothing)
    if {
        "mount-namespace",
        "user-id",
    } <= layers and found.is_root:  # leave the template's, too: no other user id could enter it
        namespace = os.open(f"/proc/{kernel}/ns/mnt", os.O_RDONLY)
        _enter(namespace, confine.NEWNS)
        os.close(namespace)
    if "user-id" in layers:  # the run then owns its folders already
        seal = mounts.seal
        mounts.seal = lambda own, uid: seal(own, None)
    if "session" in layers:
        _replace(confine.libc, "setsid", lambda: 0)
    return replace(
        found,
        namespaces=tuple(name for name in NAMESPACES if f"{name}-namespace" not in layers and name in found.namespaces),
        landlock=min([found.landlock, *(one for layer, one in _LANDLOCK_WITHOUT.items() if layer in layers)]),
        seccomp=found.seccomp and "seccomp" not in layers,
    )


_enter: Final = confine.enter  # the original, before _keep_pid_namespace() replaces it


# What the kernel itself decides ---------------------------------------------------------------------------------------


def _hand_environment_on() -> None:
    spawn = os.posix_spawn

    def spawn_with_all(path: str, arguments: list[str], environment: Mapping[str, str], **more: object) -> int:
        return spawn(path, arguments, {**os.environ, **environment}, **more)  # type: ignore[arg-type]

    os.posix_spawn = spawn_with_all  # type: ignore[assignment]


def _no_grants() -> None:
    _replace(router, "decide", _do_nothing)


def _no_normal_forms() -> None:
    _replace(router, "normalise", lambda _, resource: resource)


def _no_rates() -> None:
    _replace(Rate, "take", lambda *_: "ok")


def _no_deadlines() -> None:
    _replace(exchange.Exchange, "_expire", _do_nothing)


def _no_bound_in_flight() -> None:
    def unbounded(route: bytes, who: str, run: Run | None, rate: Rate, in_flight: int, link: tuple[int, int]) -> Peer:
        return Peer(route, who, run, rate, in_flight * 100, link)

    _replace(router, "Peer", unbounded)


def _no_provider_check() -> None:
    def ends(self: exchange.Exchange, run: Run, header: Done, body: bytes) -> None:
        if header.number in self.calls:
            self.end(self.calls[header.number], header, body)

    _replace(exchange.Exchange, "end_as_provided", ends)


def _no_watch() -> None:
    _replace(watch.Watch, "begin", _do_nothing)


def _no_bound_on_subscriptions() -> None:
    _replace(events, "TOPICS_MOST", 1_000_000)


def _with_descriptors() -> None:
    _replace(bus, "_PASS_RIGHTS", 0)  # an option that Linux does not know


def _replace(owner: object, name: str, replacement: object) -> None:
    """Replace an attribute of a module or a class."""
    setattr(owner, name, replacement)


KERNEL_LAYERS: Final[Mapping[str, Callable[[], None]]] = {
    "grants": _no_grants,
    "normal-forms": _no_normal_forms,
    "rates": _no_rates,
    "deadlines": _no_deadlines,
    "in-flight": _no_bound_in_flight,
    "provider-check": _no_provider_check,
    "subscriptions": _no_bound_on_subscriptions,
    "watch": _no_watch,
    "no-descriptors-sent": _with_descriptors,
}
"""Decisions of the kernel, by the names that attacks use, and the function that removes each."""


def _do_nothing(*_: object, **more: object) -> None:
    """Stands in for a function that applies a layer."""
