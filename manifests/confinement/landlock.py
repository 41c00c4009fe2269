"""What Landlock is told (pure): rights by name, and which of them each version of it knows (landlock(7)).

A right that is handled is denied everywhere but beneath what a rule allows; one that a version does not know cannot be
handled, and stays as the other layers leave it.
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
"""Where programs may be executed from; and what they may do in the run's own folders, named pipes included."""

OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""What a rule about a single file may hold."""

_FILES: Final = {1: 13, 2: 14, 3: 15, 5: 16}
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
SINCE: Final = {"landlock": 1, "landlock-tcp": _NETWORK_SINCE, "landlock-scopes": _SCOPES_SINCE}
"""The version from which on a run has the layer of this name."""


class Ruleset(Struct, frozen=True, kw_only=True):
    """What is handled, as three masks: rights over files, over TCP, and scopes."""

    files: int
    network: int
    scoped: int


def ruleset(abi: int, *, is_online: bool) -> Ruleset:
    """Everything that this version, 1 or above, can handle. is_online: it may connect by TCP, and still not listen."""
    bits = max(count for since, count in _FILES.items() if since <= abi)
    network = BIND_TCP if is_online else BIND_TCP | CONNECT_TCP
    return Ruleset(
        files=(1 << bits) - 1,
        network=network if abi >= _NETWORK_SINCE else 0,
        scoped=ABSTRACT_SOCKETS | SIGNALS if abi >= _SCOPES_SINCE else 0,
    )
