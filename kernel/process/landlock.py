"""Landlock laid on the calling process (acts): what manifests/confinement/landlock.py decides, as three system calls."""

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
"""Bytes of the ruleset's attributes that each version knows, newest first."""


def version() -> int:
    """The ABI of this machine's Landlock, 0 when there is none."""
    return max(0, int(libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def lay_on(
    rules: Ruleset, allowed: Iterable[tuple[int | str, int]], ports: Iterable[int], look: Callable[[str, str], object]
) -> None:
    """Restrict this process, and all that it makes, to what is allowed.

    allowed: descriptors or paths, with rights; ports: to which TCP may connect. look: called with each path and the one that
    it leads to, before anything is restricted.
    There must be no other thread: each would have to do it for itself. Raises OSError, naming what failed.
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
        if isinstance(place, str):  # one at a time: its descriptors are few already
            os.close(descriptor)
    for port in ports if rules.network & CONNECT_TCP else ():
        rule = struct.pack("=QQ", CONNECT_TCP, port)
        check(libc.syscall(_ADD_RULE, made, _PORT, rule, 0), "landlock_add_rule")
    check(libc.syscall(_RESTRICT, made, 0), "landlock_restrict_self")
    os.close(made)
