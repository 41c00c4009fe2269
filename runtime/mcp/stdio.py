"""Carries messages to and from a server that is a program of this run (acts): lines of JSON-RPC on its standard streams.

Unlike the package's own transport, this one limits a hostile server: a line has a maximum length, and what a server may send
unasked has bounds (patience.py). The program is started as
every program of a run is (runtime/programs.py), so nothing that it leaves outlives the run.
"""

import asyncio
import fcntl
import os
import re
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import msgspec
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter
from msgspec import Struct

from runtime import records
from runtime.errors import HandBroken
from runtime.heard import Unheard
from runtime.mcp.letters import replace_halves
from runtime.mcp.patience import Patience
from runtime.mcp.transport import Incoming, Outgoing, transport
from runtime.programs import Program, why_not

LONGEST: Final = 8 * 1024 * 1024
"""Most bytes of a line."""

_LAST_WORDS: Final = 1.0  # seconds between the end of its output and its end
_SHOWN: Final = 200  # characters of a line in the log

_ID: Final = rb'"id"\s*:\s*([0-9]{1,15})\s*'
_ID_FIRST: Final = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID + rb',\s*"(?:result|error)"')
_ID_LAST: Final = re.compile(rb'[\]}"]\s*,\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID + rb"\}\s*$")
"""Finds the id of an answer in a line that is cut off or nested too deeply to parse."""


class Pipes:
    """The pipes to and from a program."""

    def __init__(self, command: tuple[str, ...], surroundings: dict[str, str]) -> None:
        """Starts the program. Raises HandBroken if it cannot be started."""
        theirs_in, to = os.pipe()
        out, theirs_out = os.pipe()
        self._to, self._from = os.fdopen(to, "wb", buffering=0), os.fdopen(out, "rb", buffering=0)
        try:
            self.program = Program(command, surroundings, {0: theirs_in, 1: theirs_out})
        except OSError as error:
            self._close()
            raise HandBroken(f"command = {list(command)}: {why_not(command[0], error)}") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._patience = Patience()
        self._unheard = Unheard()
        self._written = 0
        self._transport: asyncio.WriteTransport | None = None

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[TransportStreams]:
        """Yields the message streams. Raises HandBroken, in a group, if the server misbehaves."""
        try:
            async with transport(self._read, self._write) as streams:
                yield streams
        finally:
            self._close()  # a task that was cancelled before it began has closed nothing

    async def wait_until_read(self) -> None:
        """Returns once the server has read all lines written by now, or has ended."""
        await asyncio.sleep(0)  # lets _write() take queued messages
        written = self._written
        await self._unheard.wait_until(self.program, lambda: self._written - self._unread() >= written)

    def _unread(self) -> int:
        """Bytes written that it has not read; 0 once nothing more is written."""
        if self._transport is None or self._transport.is_closing():
            return 0
        in_pipe: int = struct.unpack("=i", fcntl.ioctl(self._to, termios.FIONREAD, bytes(4)))[0]
        return in_pipe + self._transport.get_write_buffer_size()

    def _close(self) -> None:
        """Closes our ends of the pipes; they may be closed already."""
        self._to.close()
        self._from.close()

    async def _read(self, incoming: Incoming) -> None:
        reader = asyncio.StreamReader(limit=LONGEST)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._from)
        try:
            async with incoming:
                while line := await self._line(reader):
                    message = _message(line)
                    self._patience.hear(message)
                    if message is not None:
                        await incoming.send(message)
            if await self.program.wait(_LAST_WORDS) is None:
                raise HandBroken("it closed its standard output, the only way to hear it, and goes on")
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # the session has ended
        finally:
            transport.close()

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readline()
        except ValueError:
            raise HandBroken(f"a line on its standard output is longer than {LONGEST >> 20} MiB") from None

    async def _write(self, outgoing: Outgoing) -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, self._to)
        self._transport = transport
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        try:
            async with outgoing:
                async for one in outgoing:
                    self._patience.say(one)
                    text = one.message.model_dump_json(by_alias=True, exclude_unset=True)
                    line = text.encode("utf-8", "replace") + b"\n"
                    self._written += len(line)
                    writer.write(line)
                    await writer.drain()
        except ConnectionError:
            pass  # it has ended, or closed its input; the reading side reports that
        finally:
            if not transport.is_closing():  # it is, once the program has closed its end
                transport.abort()


class _Head(Struct):
    """The fields that tell an answer from other messages."""

    id: int | str
    method: object = None


def _message(line: bytes) -> SessionMessage | None:
    """Parses a line. None, with a log record, if it is not a message. A malformed answer becomes an error for its request."""
    if not line.strip():
        return None
    for read in (bytes, replace_halves):
        with suppress(ValueError, RecursionError):
            return SessionMessage(jsonrpc_message_adapter.validate_json(read(line), by_name=False))
    records.logger().warning("a line that is not a message", line=line[:_SHOWN].decode("utf-8", "replace").rstrip())
    if (answered := _answered_id(line)) is None:
        return None
    why = ErrorData(code=PARSE_ERROR, message="its answer does not follow the protocol")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=answered, error=why))


def _answered_id(line: bytes) -> int | str | None:
    """The id that a malformed line answers, as far as that can be known; None if it is not an answer."""
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        found = _ID_FIRST.match(line) or _ID_LAST.search(line[-_SHOWN:])
        return int(found[1]) if found else None
    return head.id if head.method is None else None
