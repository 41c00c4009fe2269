"""Until a program has taken what it was told (acts): that a call of its is over, above all.

The kernel charges a call with what its provider computes until that says that it is done (manifests/sharing.py). A bridge
hears at once that a call is over, while its program may go on computing for it and hear nothing for ever. So the bridge says
that it is done once the program has read what it was told. Nothing is looked at but while a call waits for that.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from runtime.programs import Program

WAITING_MOST: Final = 16
"""Calls that wait for this at once; of further ones it is said at once. The kernel keeps as many (UNHEARD_MOST)."""

_FIRST, _LONGEST = 0.01, 0.25
"""Seconds between two looks: at first, and once it has lasted."""

_SO_MEMINFO: Final = 55
_SENT: Final = struct.Struct("=2I I 6I")
"""The answer to SO_MEMINFO, of whose numbers the third is how much memory holds what the other end has not read."""


class Unheard:
    """The calls that are over, of which the program has not read it yet."""

    def __init__(self) -> None:
        self._waiting = 0

    async def passed(self, program: Program, is_heard: Callable[[], bool]) -> None:
        """Return when this is true, or the program has ended."""
        if self._waiting >= WAITING_MOST:
            return
        self._waiting += 1
        pause = _FIRST
        try:
            while not is_heard() and await program.wait(pause) is None:
                pause = min(2 * pause, _LONGEST)
        finally:
            self._waiting -= 1


def is_read(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end of a pair of sockets has read all that was written to this one, or that cannot be known."""
    if writer.transport.get_write_buffer_size():
        return False
    own: socket.socket = writer.get_extra_info("socket")
    try:
        return not _SENT.unpack(own.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _SENT.size))[2]
    except (OSError, struct.error):
        return True
