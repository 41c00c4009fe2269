"""Probes what this machine can do for a run's confinement (acts): once, in the template, for all runs that it forks."""

import os
import sys
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from kernel.digests import PACKAGES
from kernel.process import landlock, mounts, seccomp
from manifests.confinement import places
from manifests.confinement.plan import NAMESPACES, Machine


@lru_cache(maxsize=1)
def probe() -> Machine:
    """Probe this machine. Namespaces are tried in a child; for an ordinary user that needs the template's user namespace."""
    return Machine(
        is_root=os.geteuid() == 0, namespaces=tuple(name for name in NAMESPACES if _can(name)),
        landlock=landlock.version(), seccomp=seccomp.available(), architecture=os.uname().machine,
        readable=_outermost((*_own(), *places.SYSTEM)), online=_outermost(places.ONLINE),
        programs=_outermost(places.PROGRAMS), tools=_outermost(places.TOOLS),
        places=tuple(filter(os.path.isdir, places.EMPTY)), shared=next(iter(_outermost((places.SHARED,))), ""),
    )  # fmt: skip


def to_text(machine: Machine) -> str:
    """Encode the result, for a new interpreter."""
    return msgspec.json.encode(machine).decode()


def from_text(text: str) -> Machine:
    """Decode what to_text() returned."""
    return msgspec.json.decode(text, type=Machine)


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the real paths of those that exist, without any that lies within another."""
    there = sorted({os.path.realpath(path) for path in paths if os.path.exists(path)})
    return tuple(path for path in there if not any(path.startswith(f"{other}/") for other in there))


def _own() -> list[str]:
    """Return the folders of Python and of Maniple's packages: not the folder above these, where a home may lie."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    search = [path for path in sys.path if os.path.isdir(path) and os.path.realpath(path) != root]
    return [os.path.join(sys.base_prefix, "lib"), *search, *(os.path.join(root, package) for package in PACKAGES)]


def leave(namespace: str) -> None:
    """Leave one of NAMESPACES as a run does, and for `mount` change mounts there. Raises OSError if that is forbidden."""
    mounts.leave([namespace])
    if namespace == "mount":
        mounts.seal([os.path.dirname(os.path.abspath(__file__))], None)


def _can(namespace: str) -> bool:
    """Whether a child process can leave one of NAMESPACES."""
    if (child := os.fork()) == 0:
        try:
            leave(namespace)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
