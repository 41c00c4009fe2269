"""A kernel whose runs lack some layers, to show that attacks succeed without them: only tests can start it.

Entry points of the kernel's and of the template's process. The layers that are taken away stand in the home, in
`weakened`, one on each line; the kernel names them to the template in front of what it preloads.
"""

import os
from pathlib import Path

from msgspec.structs import replace

from kernel import launcher, watch
from kernel import main as kernel_main
from kernel.process import cgroup, confine, machine, mounts, template
from manifests.confinement.plan import NAMESPACES


def main(arguments: list[str]) -> None:
    """Be either: a kernel when the first argument is a home, a template when it is a descriptor."""
    if arguments[0].isdigit():
        taken, preload = arguments[1].split("|")
        _take_away(frozenset(taken.split()))
        template.main([arguments[0], preload, *arguments[2:]])
        return
    layers = Path(arguments[0], "weakened").read_text().split()
    if "disk" in layers:  # the one limit that the kernel itself looks after
        watch.Watch.measured = _nothing  # type: ignore[assignment]
    launcher.TEMPLATE = "tests.attacks.weakened"  # type: ignore[misc]
    launcher.PRELOAD = f"{' '.join(layers)}|{launcher.PRELOAD}"  # type: ignore[misc]
    kernel_main.main(arguments)


def _take_away(layers: frozenset[str]) -> None:
    found = machine.probe()
    weaker = replace(
        found,
        namespaces=tuple(name for name in NAMESPACES if f"{name}-namespace" not in layers and name in found.namespaces),
        landlock=0 if "landlock" in layers else found.landlock,
        seccomp=found.seccomp and "seccomp" not in layers,
    )
    machine.probe = lambda: weaker  # type: ignore[assignment]
    control, unshare = confine.control, confine.unshare
    options = {"no-new-privileges": confine.NO_NEW_PRIVILEGES, "not-dumpable": confine.NOT_DUMPABLE}
    skipped = {options[name] for name in layers if name in options}
    confine.control = lambda option: None if option in skipped else control(option)
    if "cgroup" in layers:
        cgroup.prepare = lambda name: ""
    if "pid-namespace" in layers:
        confine.unshare = lambda flags: unshare(flags & ~confine.NEWPID)
        confine.enter = _nothing  # type: ignore[assignment]
    for layer, names in {
        "rlimits": ("limit",), "user-id": ("become",), "capabilities": ("drop_capabilities", "bound_capabilities"),
    }.items():  # fmt: skip
        for name in names if layer in layers else ():
            setattr(confine, name, _nothing)
    if "mount-namespace" in layers:  # the template's own, too, which covers closed folders
        mounts.private_mounts = mounts.make_reachable = _nothing  # type: ignore[assignment]
    if "session" in layers:
        os.setsid = _nothing


def _nothing(*_: object) -> None:
    """The layer that is not laid on."""
