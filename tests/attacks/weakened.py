"""A kernel that lacks layers, to show that attacks succeed without them (acts): only tests can start it.

Entry points of the kernel's and of the template's process. A run lacks those that its Hand's description names
(puppet.py), so one such kernel does for nearly all. What cannot be taken from one run alone stands in the home, in
`weakened`, one on each line: OF_THE_TEMPLATE, and the decisions of the kernel itself, which OF_THE_KERNEL names. The
kernel names them to the template in front of what it preloads.
"""

import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from kernel import events, exchange, launcher, router, watch
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

OF_THE_TEMPLATE: Final = frozenset(
    {"cgroup", "broken-cgroup", "descriptors", "environment", "pid-namespace", "own-pid-namespace"}
)
"""Layers that are laid on before it is known whose run it is. own-pid-namespace: the run's own and not the template's, for
attacks that would reach all of this machine: they reach Maniple's runs."""


_OLDER: Final = {"landlock": 0, "landlock-tcp": 3, "landlock-scopes": 5}
"""The newest version of Landlock that lacks the layer."""


def main(arguments: list[str]) -> None:
    """Be either: a kernel when the first argument is a home, a template when it is a descriptor."""
    if arguments[0].isdigit():
        said, preload = arguments[1].split("|")
        kernel, *taken = said.split()
        _weaken_template(frozenset(taken), kernel)
        template.main([arguments[0], preload, *arguments[2:]])
        return
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]  # most systems begin with 0, and leave it to each to want more
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    layers = frozenset(Path(arguments[0], "weakened").read_text().split())
    for name in layers - OF_THE_TEMPLATE:
        OF_THE_KERNEL[name]()
    if "environment" in layers:
        _hand_environment_on()
    told = " ".join([str(os.getpid()), *(layers & OF_THE_TEMPLATE)])
    launcher.TEMPLATE = "tests.attacks.weakened"  # type: ignore[misc]
    launcher.PRELOAD = f"{told}|{launcher.PRELOAD}"  # type: ignore[misc]
    kernel_main.main(arguments)


def _weaken_template(taken: frozenset[str], kernel: str) -> None:
    planned = child._planned

    def weaker(launch: Launch, found: Machine) -> Plan:
        description = schema.decode(launch.manifest).hand.description
        for layer in description.partition(BROKEN)[2].split():
            refuse(layer)
        layers = frozenset(description.partition(LACKS)[2].split())
        if "user-id" in layers and launch.uid is not None:
            os.chown(launch.scratch, 0, 0)  # whose run it is, must be able to use it
        return planned(launch, _weaken_run(layers, found, kernel) if layers else found)

    child._planned = weaker
    spare.Spares.wanted = _nothing  # type: ignore[method-assign]  # it would have layers that are to be taken away
    if "cgroup" in taken:
        cgroup.prepare = lambda name: ""
    if "broken-cgroup" in taken:
        refuse_groups()
    if "descriptors" in taken:
        os.closerange = _nothing
    if "environment" in taken:
        os.environ.clear = _nothing  # type: ignore[method-assign]
    if taken & {"pid-namespace", "own-pid-namespace"}:
        _keep_pid_namespace(kept="own-pid-namespace" in taken)


def _keep_pid_namespace(*, kept: bool) -> None:
    """No new PID namespace for runs; kept: the template's own, which it makes first, is made all the same."""
    unshare, left = confine.unshare, [kept]

    def fewer(flags: int) -> None:
        if flags == confine.NEWPID and not (left and left.pop()):
            return
        unshare(flags)

    confine.unshare = fewer
    confine.enter = _nothing


def _weaken_run(layers: frozenset[str], found: Machine, kernel: str) -> Machine:
    """Take away what this process, a run from here on, would lay on; what it is to think that the machine can do."""
    control = confine.control
    options = {"no-new-privileges": confine.NO_NEW_PRIVILEGES, "not-dumpable": confine.NOT_DUMPABLE}
    skipped = {options[name] for name in layers if name in options}
    confine.control = lambda option: None if option in skipped else control(option)
    for layer, names in {
        "rlimits": ("limit",), "user-id": ("become",), "capabilities": ("drop_capabilities", "bound_capabilities"),
    }.items():  # fmt: skip
        for name in names if layer in layers else ():
            setattr(confine, name, _nothing)
    if {"mount-namespace", "user-id"} <= layers and found.is_root:  # nor the template's: no other id could come in
        namespace = os.open(f"/proc/{kernel}/ns/mnt", os.O_RDONLY)
        _enter(namespace, confine.NEWNS)
        os.close(namespace)
    if "user-id" in layers:  # then it owns its folders as they are
        seal = mounts.seal
        mounts.seal = lambda own, uid: seal(own, None)
    if "session" in layers:
        _put(confine.libc, "setsid", lambda: 0)
    return replace(
        found,
        namespaces=tuple(name for name in NAMESPACES if f"{name}-namespace" not in layers and name in found.namespaces),
        landlock=min([found.landlock, *(one for layer, one in _OLDER.items() if layer in layers)]),
        seccomp=found.seccomp and "seccomp" not in layers,
    )


_enter: Final = confine.enter  # as it is before any is taken away


# What the kernel itself decides ---------------------------------------------------------------------------------------


def _hand_environment_on() -> None:
    spawn = os.posix_spawn

    def spawn_with_all(path: str, arguments: list[str], environment: Mapping[str, str], **more: object) -> int:
        return spawn(path, arguments, {**os.environ, **environment}, **more)  # type: ignore[arg-type]

    os.posix_spawn = spawn_with_all  # type: ignore[assignment]


def _no_grants() -> None:
    _put(router, "decide", _nothing)


def _no_normal_forms() -> None:
    _put(router, "normalise", lambda _, resource: resource)


def _no_rates() -> None:
    _put(Rate, "take", lambda *_: "ok")


def _no_deadlines() -> None:
    _put(exchange.Exchange, "_expire", _nothing)


def _no_bound_in_flight() -> None:
    def unbounded(route: bytes, who: str, run: Run | None, rate: Rate, in_flight: int, link: tuple[int, int]) -> Peer:
        return Peer(route, who, run, rate, in_flight * 100, link)

    _put(router, "Peer", unbounded)


def _no_provider_check() -> None:
    def ends(self: exchange.Exchange, run: Run, header: Done, body: bytes) -> None:
        if header.number in self.calls:
            self.end(self.calls[header.number], header, body)

    _put(exchange.Exchange, "end_as_provided", ends)


def _no_watch() -> None:
    _put(watch.Watch, "begin", _nothing)


def _no_bound_on_subscriptions() -> None:
    _put(events, "TOPICS_MOST", 1_000_000)


def _put(place: object, name: str, instead: object) -> None:
    """Put something else in the place of what a module or a class has by this name."""
    setattr(place, name, instead)


OF_THE_KERNEL: Final[Mapping[str, Callable[[], None]]] = {
    "grants": _no_grants,
    "normal-forms": _no_normal_forms,
    "rates": _no_rates,
    "deadlines": _no_deadlines,
    "in-flight": _no_bound_in_flight,
    "provider-check": _no_provider_check,
    "subscriptions": _no_bound_on_subscriptions,
    "watch": _no_watch,
}
"""Decisions of the kernel's, in the names that attacks give them, and what takes each away."""


def _nothing(*_: object, **more: object) -> None:
    """The layer that is not laid on."""
