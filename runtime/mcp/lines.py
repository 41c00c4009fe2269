"""A client's messages as lines of a call's stream both ways (acts): one line of JSON-RPC each, as on standard streams.

What a hostile client can do is bounded here: a line has a longest length, lines that are no message come only so often,
and a request beyond the most that may be open at once is answered with an error before anybody sees it. A client that
does not read what it is answered is not read from either.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

import anyio
import msgspec
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)

from runtime.errors import CallEnded, Failure
from runtime.mcp.letters import whole
from runtime.mcp.transport import Incoming, Outgoing, transport
from runtime.serving import Call
from wire import limits

LONGEST: Final = 2 * 1024 * 1024
"""Bytes of a line: arguments are at most 1 MiB."""

AT_ONCE: Final = 32
"""Requests of one client that are open at once; a further one is answered with an error."""

LAST_ANSWERS: Final = 1.0
"""Seconds for which a client that says no more is answered what it asked; what takes longer is given up."""

NONSENSE_MOST: Final = 100
"""Lines that are no message, since the last that was one; with one more a client is talked with no more."""


class Lines:
    """One client. Made by the task that talks with it; moved: when it last took some of what it is sent."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._task = asyncio.current_task()
        self._open: set[RequestId] = set()
        self._went = asyncio.Event()
        self._owed: dict[RequestId, int] = {}
        self._turn = anyio.Lock()
        self.moved = 0.0

    def streams(self) -> AbstractAsyncContextManager[TransportStreams]:
        """The messages both ways, until the block is left. Raises Failure, in a group, when the client misbehaves."""
        return transport(self._read, self._write)

    def owe(self, number: RequestId, size: int) -> None:
        """A request's answer has so many bytes, and waits from now on until the client has read it."""
        if not self._owed:
            self.moved = time.monotonic()
        self._owed[number] = size

    @property
    def unsent(self) -> int:
        """Bytes of large answers that wait to be read."""
        return sum(self._owed.values())

    def let_go(self) -> None:
        """Talk with it no more."""
        self._owed.clear()
        if self._task is not None:
            self._task.cancel("it read nothing of its answers, and others had no room")

    async def _read(self, told: Incoming) -> None:
        nonsense = 0
        try:
            async with told:
                async for line in _lines(self._call.upload):
                    message = _message(line)
                    nonsense = nonsense + 1 if message is None else 0
                    if message is None:
                        if nonsense > NONSENSE_MOST:
                            raise Failure("malformed", f"its last {nonsense} lines were no messages")
                        await self._answer(_error(None, PARSE_ERROR, "this line is not a message of JSON-RPC"))
                    elif await self._admits(message):
                        await told.send(SessionMessage(message))
                await self._answered()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # nobody talks to it any more

    async def _answered(self) -> None:
        """Wait a moment for the answers to what was asked before the client closed its stream: it may come out of a pipe."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS):
                while self._open:
                    self._went.clear()
                    await self._went.wait()
                async with self._turn:  # the last of them may be on its way
                    pass

    async def _admits(self, message: JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError) -> bool:
        """Whether a message goes on; a request that may not is answered."""
        match message:
            case JSONRPCRequest(id=number) if number in self._open or len(self._open) >= AT_ONCE:
                why = "its id is in use" if number in self._open else f"{AT_ONCE} requests are open already: await some"
                await self._answer(_error(number, INTERNAL_ERROR, why))
                return False
            case JSONRPCRequest(id=number):
                self._open.add(number)
            case JSONRPCNotification(method="notifications/cancelled", params={"requestId": int() | str() as number}):
                self._open.discard(number)
                self._went.set()
                self._owed.pop(number, None)
            case _:
                pass
        return True

    async def _write(self, said: Outgoing) -> None:
        async with said:
            async for one in said:
                if isinstance(one.message, JSONRPCResponse | JSONRPCError) and one.message.id is not None:
                    self._open.discard(one.message.id)
                    self._went.set()
                await self._answer(one.message)
                if isinstance(one.message, JSONRPCResponse | JSONRPCError) and one.message.id is not None:
                    self._owed.pop(one.message.id, None)

    async def _answer(self, message: JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError) -> None:
        """Send a message's line, in pieces that nothing else comes between."""
        line = message.model_dump_json(by_alias=True, exclude_unset=True).encode("utf-8", "replace") + b"\n"
        async with self._turn:
            for at in range(0, len(line), limits.CHUNK_SIZE):
                try:
                    await self._call.send(line[at : at + limits.CHUNK_SIZE])
                except CallEnded:
                    return
                self.moved = time.monotonic()


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines of a stream; the last may lack its end. Raises Failure for one that is too long."""
    rest = bytearray()
    async for piece in pieces:
        *whole, last = piece.split(b"\n")
        for part in whole:
            rest += part
            if len(rest) > LONGEST:
                break
            if rest.strip():
                yield bytes(rest)
            rest.clear()
        rest += last
        if len(rest) > LONGEST:
            raise Failure("too-large", f"a line has more than {LONGEST >> 20} MiB")
    if rest.strip():
        yield bytes(rest)


def _message(line: bytes) -> JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError | None:
    for read in (bytes, whole):
        with suppress(ValueError, RecursionError, msgspec.DecodeError):
            text = read(line)
            message = jsonrpc_message_adapter.validate_json(text, by_name=False)
            return None if has_bad_id(text) else message
    return None


class _Head(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    method: msgspec.Raw = msgspec.Raw()


def has_bad_id(text: bytes) -> bool:
    """Whether it asks under an id that is none: neither a text nor a whole number. `mcp` takes that for a notification."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        head = msgspec.json.decode(text, type=_Head)
        number = bytes(head.id)
        return bool(head.method and number) and not number.startswith(b'"') and not number.lstrip(b"-").isdigit()
    return False


def _error(number: RequestId | None, code: int, why: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=code, message=why))
