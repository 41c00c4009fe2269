"""Probes what this machine can do for a run's confinement (acts): once, in the template, for all runs that it forks."""

import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from kernel.digests import PACKAGES
from kernel.process import confine, landlock, mounts, seccomp
from manifests.confinement.plan import NAMESPACES, Machine

_SYSTEM: Final = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
    "/etc/mime.types", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
_ONLINE: Final = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
    "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates",
)  # fmt: skip
_PROGRAMS: Final = (
    "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/lib", "/lib64", "/usr/lib", "/usr/lib64",
    "/usr/libexec", "/usr/local/lib",
)  # fmt: skip
_TOOLS: Final = (
    "/usr/include", "/usr/share", "/usr/local/share", "/etc/alternatives", "/etc/ssl", "/etc/pki",
    "/etc/ca-certificates",
)  # fmt: skip
_PLACES: Final = ("/mnt", "/srv", "/media", "/opt")
"""Paths that runs may need. _SYSTEM: shared libraries and what they read; _ONLINE: for names and certificates; _PROGRAMS: the
system's programs; _TOOLS: what these read. _PLACES: folders with nothing that a run needs to see."""


@lru_cache(maxsize=1)
def probe() -> Machine:
    """Probe this machine. Namespaces are tried in a child; for an ordinary user that needs the template's user namespace."""
    return Machine(
        is_root=confine.is_root(), namespaces=tuple(name for name in NAMESPACES if _can(name)),
        landlock=landlock.version(), seccomp=seccomp.available(), architecture=os.uname().machine,
        readable=_outermost((*_own(), *_SYSTEM)), online=_outermost(_ONLINE), programs=_outermost(_PROGRAMS),
        tools=_outermost(_TOOLS), places=tuple(filter(os.path.isdir, _PLACES)),
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
    if (child := os.fork()) == 0:
        try:
            leave(namespace)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
