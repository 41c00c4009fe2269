"""Applies Landlock to the calling process by three system calls (acts on what manifests/confinement/landlock.py decides)."""

import ctypes
import os
import stat
import struct
from collections.abc import Callable, Iterable
from typing import Final

from kernel.process.confine import check, libc
from manifests.confinement.landlock import CONNECT_TCP, OF_FILES, Ruleset

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION: Final = 1
_PATH_BENEATH, _PORT = 1, 2
_SIZES: Final = ((6, 24), (4, 16), (1, 8))
"""ABI versions, newest first, with the bytes of the ruleset's attributes that each knows."""


def version() -> int:
    """Return the ABI version of this machine's Landlock, 0 if there is none."""
    return max(0, int(libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def lay_on(
    rules: Ruleset, allowed: Iterable[tuple[int | str, int]], ports: Iterable[int], look: Callable[[str, str], object]
) -> None:
    """Restrict this process, and all that it forks, to what is allowed. Raises OSError, naming what failed.

    allowed: descriptors or paths, with rights. ports: to which TCP may connect. look: called with each path and its real path
    before anything is restricted. There must be no other thread: Landlock restricts only the one that calls this.
    """
    attributes = struct.pack("=QQQ", rules.files, rules.network, rules.scoped)
    size = next(size for abi, size in _SIZES if abi <= version())
    made = check(libc.syscall(_CREATE, attributes, ctypes.c_size_t(size), 0), "landlock_create_ruleset")
    for place, rights in allowed:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC) if isinstance(place, str) else place
        if isinstance(place, str):
            look(place, os.readlink(f"/proc/self/fd/{descriptor}"))
        fitting = rights if stat.S_ISDIR(os.fstat(descriptor).st_mode) else rights & OF_FILES
        rule = struct.pack("=Qi", fitting & rules.files, descriptor)
        check(libc.syscall(_ADD_RULE, made, _PATH_BENEATH, rule, 0), "landlock_add_rule")
        if isinstance(place, str):  # close each at once: the limit of open files is set already
            os.close(descriptor)
    for port in ports if rules.network & CONNECT_TCP else ():
        rule = struct.pack("=QQ", CONNECT_TCP, port)
        check(libc.syscall(_ADD_RULE, made, _PORT, rule, 0), "landlock_add_rule")
    check(libc.syscall(_RESTRICT, made, 0), "landlock_restrict_self")
    os.close(made)
