"""Waits until a program has read what it was told (acts), above all that a call has ended.

The kernel charges a call for its provider's computing until the provider says that it is done (manifests/sharing.py). A
bridge learns of a call's end at once, while its program may go on computing and never read that. So the bridge reports done
only when the program has read it. Polls only while a call waits for that.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from runtime.programs import Program

WAITING_MOST: Final = 16
"""Calls that wait at once; further ones are reported done immediately. The kernel keeps as many (UNHEARD_MOST)."""

_FIRST, _LONGEST = 0.01, 0.25
"""Seconds between two polls: at first, and in the end."""

_SO_MEMINFO: Final = 55
_SENT: Final = struct.Struct("=2I I 6I")
"""SO_MEMINFO's struct; its third number is the memory of bytes that the other end has not read."""


class Unheard:
    """The ended calls whose end the program has not read yet."""

    def __init__(self) -> None:
        self._waiting = 0

    async def wait_until(self, program: Program, is_heard: Callable[[], bool]) -> None:
        """Returns once is_heard() is true or the program has ended; at once beyond WAITING_MOST."""
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
    """Whether the other end of a socket pair has read all that was written to this one; True if that cannot be known."""
    if writer.transport.get_write_buffer_size():
        return False
    own: socket.socket = writer.get_extra_info("socket")
    try:
        return not _SENT.unpack(own.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _SENT.size))[2]
    except (OSError, struct.error):
        return True
