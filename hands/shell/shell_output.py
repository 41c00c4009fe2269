"""What a command line writes to stdout or stderr, passed on or kept, and bounded (acts on a pipe and a call)."""

import asyncio
import os
import select
from typing import Final, Self

from runtime import Call

PIECE: Final = 32 * 1024
LARGEST_KEPT: Final = 160 * 1024
"""Bytes: of each output, in a reply of at most a mebibyte, of which a byte that is no UTF-8 takes three."""

_AGAIN: Final = 0.01  # seconds until it is looked again whether a pipe is empty


class Reader:
    """What is read from a pipe. stream: where it comes; it reads ahead no more than a piece."""

    def __init__(self, pipe: int) -> None:
        """The pipe is the reader's from now on."""
        self.stream = asyncio.StreamReader(limit=PIECE)
        self._pipe = os.fdopen(pipe, "rb", buffering=0)

    async def open(self) -> Self:
        """Begin to read."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self.stream), self._pipe)
        return self

    async def end_when_empty(self) -> None:
        """To be called when nobody is left who could write: the pipe is at its end when nothing is in it any more.

        An end of it that lies in a socket nobody has keeps it open for as long as the system likes.
        """
        while not self._transport.is_closing():
            waiting = select.poll()
            waiting.register(self._pipe, select.POLLIN)
            if not any(happened & select.POLLIN for _, happened in waiting.poll(0)):
                self._transport.close()
                self.stream.feed_eof()
                return
            await asyncio.sleep(_AGAIN)


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
