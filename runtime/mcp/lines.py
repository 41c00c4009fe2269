"""Carries a client's messages as lines of a call's stream, both ways (acts): lines of JSON-RPC, as on standard streams.

It limits a hostile client: a line has a maximum length, lines that are not messages are skipped only so often, and a request
beyond the most open ones is answered with an error before anybody sees it. A client that does not read its answers is not
read from either.
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
from runtime.mcp.letters import replace_halves
from runtime.mcp.transport import Incoming, Outgoing, transport
from runtime.serving import Call
from wire import limits

LONGEST: Final = 2 * 1024 * 1024
"""Most bytes of a line: arguments are at most 1 MiB."""

AT_ONCE: Final = 32
"""Most open requests of one client; a further one is answered with an error."""

LAST_ANSWERS: Final = 1.0
"""Seconds for which requests are still answered after a client has closed its stream; later ones are given up."""

NONSENSE_MOST: Final = 100
"""Most lines in a row that are not messages; one more ends the session."""


class Lines:
    """One client. Must be made by the task that serves it. moved: when the client last took some bytes."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._task = asyncio.current_task()
        self._open: set[RequestId] = set()
        self._went = asyncio.Event()
        self._owed: dict[RequestId, int] = {}
        self._turn = anyio.Lock()
        self.moved = 0.0

    def streams(self) -> AbstractAsyncContextManager[TransportStreams]:
        """Yields the message streams. Raises Failure, in a group, if the client misbehaves."""
        return transport(self._read, self._write)

    def owe(self, number: RequestId, size: int) -> None:
        """Counts a large answer's bytes as unread until the client has read it."""
        if not self._owed:
            self.moved = time.monotonic()
        self._owed[number] = size

    @property
    def unsent(self) -> int:
        """Bytes of large answers that are not read yet."""
        return sum(self._owed.values())

    def let_go(self) -> None:
        """Ends the session."""
        self._owed.clear()
        if self._task is not None:
            self._task.cancel("it read nothing of its answers, and others had no room")

    async def _read(self, incoming: Incoming) -> None:
        nonsense = 0
        try:
            async with incoming:
                async for line in _lines(self._call.upload):
                    message = _message(line)
                    nonsense = nonsense + 1 if message is None else 0
                    if message is None:
                        if nonsense > NONSENSE_MOST:
                            raise Failure("malformed", f"its last {nonsense} lines were not messages")
                        await self._answer(_error(None, PARSE_ERROR, "this line is not a message of JSON-RPC"))
                    elif await self._admits(message):
                        await incoming.send(SessionMessage(message))
                await self._await_answers()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # the session has ended

    async def _await_answers(self) -> None:
        """Waits a moment for answers to requests from before the client closed its stream: its input may be a pipe."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS):
                while self._open:
                    self._went.clear()
                    await self._went.wait()
                async with self._turn:  # the last one may be being sent
                    pass

    async def _admits(self, message: JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError) -> bool:
        """Whether a message is passed on; answers a request that is not."""
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

    async def _write(self, outgoing: Outgoing) -> None:
        async with outgoing:
            async for one in outgoing:
                if isinstance(one.message, JSONRPCResponse | JSONRPCError) and one.message.id is not None:
                    self._open.discard(one.message.id)
                    self._went.set()
                await self._answer(one.message)
                if isinstance(one.message, JSONRPCResponse | JSONRPCError) and one.message.id is not None:
                    self._owed.pop(one.message.id, None)

    async def _answer(self, message: JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError) -> None:
        """Sends a message as one line; no other message comes between its pieces."""
        line = message.model_dump_json(by_alias=True, exclude_unset=True).encode("utf-8", "replace") + b"\n"
        async with self._turn:
            for at in range(0, len(line), limits.CHUNK_SIZE):
                try:
                    await self._call.send(line[at : at + limits.CHUNK_SIZE])
                except CallEnded:
                    return
                self.moved = time.monotonic()


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yields a stream's lines; the last may lack its end. Raises Failure for a line that is too long."""
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
    for read in (bytes, replace_halves):
        with suppress(ValueError, RecursionError, msgspec.DecodeError):
            text = read(line)
            message = jsonrpc_message_adapter.validate_json(text, by_name=False)
            return None if has_bad_id(text) else message
    return None


class _Head(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    method: msgspec.Raw = msgspec.Raw()


def has_bad_id(text: bytes) -> bool:
    """Whether a request's id is neither a text nor a whole number. `mcp` would take it for a notification."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        head = msgspec.json.decode(text, type=_Head)
        number = bytes(head.id)
        return bool(head.method and number) and not number.startswith(b'"') and not number.lstrip(b"-").isdigit()
    return False


def _error(number: RequestId | None, code: int, why: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=code, message=why))
