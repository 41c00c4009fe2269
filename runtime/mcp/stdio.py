"""Messages to and from a server that is a program of this run (acts): one line of JSON-RPC each, on its standard streams.

The package has such a transport too. This one differs in what a hostile server can do to it: a line has a longest length,
what is no message is passed over only so often, and a server may not ask more of us at once than it hears the answers of.
The program is started as every program of a run is (runtime/programs.py), so nothing that it leaves outlives the run.
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
from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
from msgspec import Struct

from runtime import records
from runtime.errors import HandBroken
from runtime.heard import Unheard
from runtime.mcp.letters import whole
from runtime.mcp.transport import Incoming, Outgoing, transport
from runtime.programs import Program, why_not

LONGEST: Final = 8 * 1024 * 1024
"""Bytes of a line."""

_NONSENSE_MOST: Final = 1_000
"""Lines that are no message, since the last that was one. Many a server greets people on its standard output."""

_UNASKED_MOST: Final = 20_000
"""Messages since the last answer of the server's: progress, records of its log, changes."""

_ASKED_MOST: Final = 64
"""Requests of the server's that are not answered yet."""

_LAST_WORDS: Final = 1.0  # seconds between the end of its output and its own
_SHOWN: Final = 200  # characters of a line in the log

_ID: Final = rb'"id"\s*:\s*([0-9]{1,15})\s*'
_ID_FIRST: Final = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID + rb',\s*"(?:result|error)"')
_ID_LAST: Final = re.compile(rb'[\]}"]\s*,\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID + rb"\}\s*$")
"""Where servers write what they answer, in a line that is cut off, or too deep to be read."""


class Pipes:
    """The two pipes of a program, and what is known of their other end."""

    def __init__(self, command: tuple[str, ...], surroundings: dict[str, str]) -> None:
        """Start the program. Raises HandBroken when there is none."""
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
        self._patience = _Patience()
        self._unheard = Unheard()
        self._told = 0
        self._transport: asyncio.WriteTransport | None = None

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[TransportStreams]:
        """The messages both ways, until the block is left. Raises HandBroken, in a group, when the server misbehaves."""
        try:
            async with transport(self._read, self._write) as streams:
                yield streams
        finally:
            self._close()  # a task that was cancelled before it began has closed nothing

    async def heard(self) -> None:
        """Return when the server has taken all that it has been told by now, or has ended."""
        await asyncio.sleep(0)  # what is on its way to _write() gets there
        told = self._told
        await self._unheard.wait_until(self.program, lambda: self._told - self._unread() >= told)

    def _unread(self) -> int:
        """Bytes that it was told and has not taken; 0 of one that is told nothing any more."""
        if self._transport is None or self._transport.is_closing():
            return 0
        in_pipe: int = struct.unpack("=i", fcntl.ioctl(self._to, termios.FIONREAD, bytes(4)))[0]
        return in_pipe + self._transport.get_write_buffer_size()

    def _close(self) -> None:
        """Close both ends of ours, which may be closed already."""
        self._to.close()
        self._from.close()

    async def _read(self, told: Incoming) -> None:
        reader = asyncio.StreamReader(limit=LONGEST)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._from)
        try:
            async with told:
                while line := await self._line(reader):
                    message = _message(line)
                    self._patience.hear(message)
                    if message is not None:
                        await told.send(message)
            if await self.program.wait(_LAST_WORDS) is None:
                raise HandBroken("it closed its standard output, by which alone it is heard, and goes on")
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # nobody talks to it any more
        finally:
            transport.close()

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readline()
        except ValueError:
            raise HandBroken(f"a line on its standard output is longer than {LONGEST >> 20} MiB") from None

    async def _write(self, said: Outgoing) -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, self._to)
        self._transport = transport
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        try:
            async with said:
                async for one in said:
                    self._patience.say(one)
                    text = one.message.model_dump_json(by_alias=True, exclude_unset=True)
                    line = text.encode("utf-8", "replace") + b"\n"
                    self._told += len(line)
                    writer.write(line)
                    await writer.drain()
        except ConnectionError:
            pass  # it has ended, or hears no more; what reads from it tells
        finally:
            if not transport.is_closing():  # as it is, once the program has closed its end
                transport.abort()


class _Patience:
    """How much a server has said that nobody asked for (pure). Raises HandBroken when that is too much."""

    def __init__(self) -> None:
        self._nonsense = self._unasked = self._open = 0

    def hear(self, message: SessionMessage | None) -> None:
        """It said this; None for a line that is no message."""
        if message is None:
            self._nonsense += 1
            if self._nonsense > _NONSENSE_MOST:
                raise HandBroken(f"its last {self._nonsense} lines on standard output were no messages")
            return
        self._nonsense = 0
        self._unasked = 0 if _is_answer(message) else self._unasked + 1
        if self._unasked > _UNASKED_MOST:
            raise HandBroken(f"it told {_UNASKED_MOST} things, and answered nothing meanwhile")
        self._open += isinstance(message.message, JSONRPCRequest)
        if self._open > _ASKED_MOST:
            raise HandBroken(f"it asks more than {_ASKED_MOST} things at once")

    def say(self, message: SessionMessage) -> None:
        """It is told this, which may answer something that it asked."""
        self._open -= _is_answer(message)


def _is_answer(message: SessionMessage) -> bool:
    return isinstance(message.message, JSONRPCResponse | JSONRPCError)


class _Head(Struct):
    """What tells an answer from anything else."""

    id: int | str
    method: object = None


def _message(line: bytes) -> SessionMessage | None:
    """A line's message; None, with a record, for what is none. An answer that is none fails what it answers."""
    if not line.strip():
        return None
    for read in (bytes, whole):
        with suppress(ValueError, RecursionError):
            return SessionMessage(jsonrpc_message_adapter.validate_json(read(line), by_name=False))
    records.logger().warning("a line that is not a message", line=line[:_SHOWN].decode("utf-8", "replace").rstrip())
    if (answered := _answered(line)) is None:
        return None
    why = ErrorData(code=PARSE_ERROR, message="what it answered is not an answer of the protocol's")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=answered, error=why))


def _answered(line: bytes) -> int | str | None:
    """What a line that is no message answers, as far as that can be known; None for what is no answer."""
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        found = _ID_FIRST.match(line) or _ID_LAST.search(line[-_SHOWN:])
        return int(found[1]) if found else None
    return head.id if head.method is None else None
