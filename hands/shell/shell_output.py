"""What a command line writes to stdout or stderr, passed on or kept, and bounded (acts on a pipe and a call)."""

import asyncio
import os
from typing import Final

from runtime import Call

PIECE: Final = 32 * 1024
LARGEST_KEPT: Final = 160 * 1024
"""Bytes: of each output, in a reply of at most a mebibyte, of which a byte that is no UTF-8 takes three."""


async def opened(pipe: int) -> asyncio.StreamReader:
    """A reader of the pipe, which it owns from now on; it reads ahead no more than a piece."""
    reader = asyncio.StreamReader(limit=PIECE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0))
    return reader


class Output:
    """One of the two. number: what its streamed pieces begin with. most: bytes of it that the caller gets."""

    def __init__(self, call: Call, number: int, most: int, *, is_streamed: bool) -> None:
        self._call, self._mark, self._most, self._is_streamed = call, bytes([number]), most, is_streamed
        self._kept = bytearray()
        self.is_cut = False

    @property
    def text(self) -> str:
        """What was kept."""
        return self._kept.decode("utf-8", "replace")

    async def take(self, reader: asyncio.StreamReader) -> None:
        """Take all of it to its end; what is beyond `most` is read and passed over, so that its writer goes on."""
        left = self._most
        while piece := await reader.read(PIECE):
            wanted = piece[:left]
            left -= len(wanted)
            self.is_cut = self.is_cut or len(wanted) < len(piece)
            if not self._is_streamed:
                self._kept += wanted
            elif wanted:
                await self._call.send(self._mark + wanted)
