"""Landlock's access rights by name, and which of them each ABI version supports (pure; landlock(7)).

A handled right is denied everywhere except beneath the paths of rules that allow it. A right that a version does not
support cannot be handled, and only the other layers restrict it.
"""

from typing import Final

from msgspec import Struct

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
BIND_TCP, CONNECT_TCP = 1, 2
ABSTRACT_SOCKETS, SIGNALS = 1, 2

READ: Final = READ_FILE | READ_DIR
WRITE: Final = (
    READ | WRITE_FILE | TRUNCATE | REFER | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM
)  # no devices, sockets or pipes that others could open, and nothing is executed
RUN: Final = READ | EXECUTE
WORK: Final = WRITE | MAKE_FIFO
SHARE: Final = READ_FILE | WRITE_FILE | TRUNCATE | REMOVE_FILE | MAKE_REG
"""RUN: access to folders whose programs may be executed. WORK: a program's access to its run's own folders, with named
pipes. SHARE: to the folder in which its programs share memory: files, which POSIX semaphores are, too."""

OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""The rights that a rule for a single file may have."""

_FILES: Final = {1: 13, 2: 14, 3: 15, 5: 16}
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
SINCE: Final = {"landlock": 1, "landlock-tcp": _NETWORK_SINCE, "landlock-scopes": _SCOPES_SINCE}
"""By layer, the first ABI version that supports it."""


class Ruleset(Struct, frozen=True, kw_only=True):
    """The handled rights, as three masks: over files, over TCP, and scopes."""

    files: int
    network: int
    scoped: int


def ruleset(abi: int, *, is_online: bool) -> Ruleset:
    """Return all rights that this ABI version, 1 or above, can handle. is_online: it may connect by TCP, not listen."""
    bits = max(count for since, count in _FILES.items() if since <= abi)
    network = BIND_TCP if is_online else BIND_TCP | CONNECT_TCP
    return Ruleset(
        files=(1 << bits) - 1,
        network=network if abi >= _NETWORK_SINCE else 0,
        scoped=ABSTRACT_SOCKETS | SIGNALS if abi >= _SCOPES_SINCE else 0,
    )
