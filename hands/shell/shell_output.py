"""Reads stdout or stderr of a command line up to a bound, and streams or keeps it (acts on a pipe and a call)."""

import asyncio
import os
import select
from typing import Final, Self

from runtime import Call

PIECE: Final = 32 * 1024
LARGEST_KEPT: Final = 160 * 1024
"""Bytes of each output that fit into a reply of 1 MiB: a byte that is not UTF-8 takes three."""

_AGAIN: Final = 0.01  # seconds between two checks whether a pipe is empty


class Reader:
    """Reads a pipe. stream: the bytes read; it buffers about two pieces at most."""

    def __init__(self, pipe: int) -> None:
        """Takes ownership of the pipe's descriptor."""
        self.stream = asyncio.StreamReader(limit=PIECE)
        self._pipe = os.fdopen(pipe, "rb", buffering=0)

    async def open(self) -> Self:
        """Starts reading."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self.stream), self._pipe)
        return self

    async def end_when_empty(self) -> None:
        """Ends the stream once the pipe is empty. To be called when no process is left that could write.

        Not left to end-of-file: a write end inside a socket that nobody holds stays open as long as the system likes.
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
    """One of the two outputs. number: first byte of each streamed piece. most: bytes that the caller gets."""

    def __init__(self, call: Call, number: int, most: int, *, is_streamed: bool) -> None:
        self._call, self._mark, self._most, self._is_streamed = call, bytes([number]), most, is_streamed
        self._kept = bytearray()
        self.is_cut = False

    @property
    def text(self) -> str:
        """The bytes kept, as text."""
        return self._kept.decode("utf-8", "replace")

    async def take(self, reader: asyncio.StreamReader) -> None:
        """Reads to the end. Bytes beyond `most` are read and dropped, so that the writer does not block."""
        left = self._most
        while piece := await reader.read(PIECE):
            wanted = piece[:left]
            left -= len(wanted)
            self.is_cut = self.is_cut or len(wanted) < len(piece)
            if not self._is_streamed:
                self._kept += wanted
            elif wanted:
                await self._call.send(self._mark + wanted)
