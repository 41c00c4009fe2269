"""Serves a client's HTTP connection that arrives as a stream of a call (acts), in the confined run of a door.

The process that listens only carries bytes: it has the operator's key and so parses nothing. HTTP/1.1 is parsed by uvicorn
and h11, the protocol on it by the official package. Each request is checked anew: its token, Host, Origin and path.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Protocol

import h11
from mcp.server.auth.middleware.bearer_auth import AuthorizationContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from manifests.mcp import bearer
from runtime.errors import CallEnded
from runtime.mcp.lines import LONGEST, has_bad_id
from runtime.serving import Call
from wire import limits

PATH: Final = "/mcp"
SESSIONS_MOST: Final = 64
"""Most sessions of all clients; for a further one, the one that was idle for longest is ended."""

SESSION_IDLE: Final = 600.0
"""Seconds after which an idle session is ended."""

KEEP_ALIVE: Final = 60
"""Seconds that a connection may stay open without a request."""

REQUEST_WITHIN: Final = 60.0
"""Seconds in which a request must be complete, or its connection is closed: a slow sender holds a place."""

_HIGH: Final = 1024 * 1024  # unread bytes of a client above which no more is written for it
_LOOK: Final = 0.05  # seconds between two polls for room
_SLICE: Final = 1024  # bytes parsed at once; they may hold a sixth as many chunks
_MOMENT: Final = 0.001  # seconds of parsing one connection before other clients get a turn
UNSENT_MOST: Final = 40 * 1024 * 1024
"""Unread bytes of answers to all clients above which no stream is made an answer. Each byte is held three times."""

STALE: Final = 2.0
"""Seconds after which a client that reads nothing is dropped, if others have no room."""

_UNDER_WAY: Final = 0.5  # seconds until a new answer is surely among the counted unread bytes
_FORMS: Final = 4  # until then it is in memory this many times, in several forms

_HEADERS: Final = "maniple"
_BAD_ID: Final = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"an id is a text or a whole number"}}'


class Client(Protocol):
    """A client that gets answers. moved: when it last took some, by time.monotonic()."""

    moved: float

    @property
    def unsent(self) -> int:
        """Bytes that it has not read yet."""

    def let_go(self) -> None:
        """Drops the client: nothing more is sent to it."""


class Gate:
    """What is checked of one connection's requests. digest: of the token. port: that it came in at."""

    def __init__(self, digest: str, port: int) -> None:
        self.digest = digest
        self.port = port


class Web:
    """The sessions over HTTP, and the memory for all clients' answers."""

    def __init__(self, server: Server) -> None:
        self._sessions = _Sessions(
            server,
            max_sessions=SESSIONS_MOST,
            session_idle_timeout=SESSION_IDLE,
            max_request_body_size=LONGEST,
        )
        self._config = Config(
            self._answer, http="h11", ws="none", lifespan="off", interface="asgi3", log_config=None, access_log=False,
            timeout_keep_alive=KEEP_ALIVE, h11_max_incomplete_event_size=bearer.HEAD_MOST, server_header=False,
            proxy_headers=False,
        )  # fmt: skip
        self._state = ServerState()
        self._clients: set[Client] = set()
        self._under_way = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Runs the sessions for the duration of the block."""
        async with self._sessions.run():
            yield

    async def connection(self, call: Call, gate: Gate) -> None:
        """Serves one connection until either side closes it."""
        wire = _Wire(call)
        protocol = H11Protocol(self._config, self._state, {_HEADERS: gate}, asyncio.get_running_loop())
        wire.attend(protocol)
        protocol.connection_made(wire)
        sending = asyncio.ensure_future(wire.send())
        receiving = asyncio.ensure_future(wire.receive())
        going = asyncio.ensure_future(wire.is_let_go.wait())
        self._clients.add(wire)
        try:
            await asyncio.wait((sending, receiving, going), return_when=asyncio.FIRST_COMPLETED)
            wire.close()
            await asyncio.wait((sending, going), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            self._clients.discard(wire)
            for task in (receiving, sending, going):
                task.cancel()
            protocol.connection_lost(None)
            await asyncio.gather(receiving, sending, going, return_exceptions=True)

    @contextmanager
    def counting(self, client: Client) -> Iterator[None]:
        """Counts a client's unread bytes, too, for the duration of the block."""
        self._clients.add(client)
        try:
            yield
        finally:
            self._clients.discard(client)

    async def room(self, size: int) -> None:
        """Waits until an answer of so many bytes may be made. Drops clients that do not read to get room."""
        while waiting := self._under_way + sum(client.unsent for client in self._clients):
            if waiting + _FORMS * size <= UNSENT_MOST:
                break
            stale = [one for one in self._clients if one.unsent and time.monotonic() - one.moved > STALE]
            if stale:
                min(stale, key=lambda one: one.moved).let_go()
            else:
                await asyncio.sleep(_LOOK)
        self._under_way += _FORMS * size
        asyncio.get_running_loop().call_later(_UNDER_WAY, self._came, _FORMS * size)

    def _came(self, size: int) -> None:
        self._under_way -= size

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (refusal := _refusal(scope)) is not None:
            await refusal(scope, receive, send)
            return
        await self._sessions.handle_request(scope, receive, send)


class _Sessions(StreamableHTTPSessionManager):
    """The package's session manager, except that an idle session is ended to make room: otherwise whoever holds the token
    could fill all places and block every other client until they expire. A session with an open request or stream is never
    ended. A request with an invalid id is answered, as JSON-RPC requires (§5.1).
    """

    async def _handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()  # with the whole body, which the package has assembled, up to its maximum
        untold = [first]

        async def again() -> Message:
            return untold.pop() if untold else await receive()

        if has_bad_id(first.get("body", b"")):
            await Response(_BAD_ID, 400, media_type="application/json")(scope, receive, send)
        else:
            await super()._handle_request(scope, again, send)

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        if len(self._server_instances) >= SESSIONS_MOST:
            ends = {one: _ends(transport) for one, transport in self._server_instances.items()}
            longest = min(ends, key=ends.__getitem__)
            scope = self._server_instances[longest].idle_scope
            if ends[longest] < math.inf and scope is not None:
                scope.cancel()  # as if it had expired
                del self._server_instances[longest]
        return super()._admit_session(requestor)


def _ends(transport: StreamableHTTPServerTransport) -> float:
    """When a session expires, on the loop's clock; never while it is in use."""
    return transport.idle_scope.deadline if transport.idle_scope is not None else math.inf


class _Wire(asyncio.Transport):
    """The transport that uvicorn uses: writes go to a call's reply, reads come from its upload."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call
        self.is_let_go = asyncio.Event()
        self.moved = 0.0
        self._protocol: asyncio.Protocol | None = None
        self._waiting = bytearray()
        self._closing = False
        self._more = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()
        self._is_full = False
        self._late = asyncio.get_running_loop().call_later(REQUEST_WITHIN, self.close)

    def attend(self, protocol: asyncio.Protocol) -> None:
        """Sets the protocol that gets the received bytes."""
        self._protocol = protocol

    async def receive(self) -> None:
        """Passes received bytes to the protocol, until there are no more or the connection is closed."""
        assert self._protocol is not None
        until = time.monotonic() + _MOMENT
        async for piece in self._call.upload:
            for at in range(0, len(piece), _SLICE):
                await self._reads.wait()
                if self._closing:
                    return
                self._protocol.data_received(piece[at : at + _SLICE])
                self._await_rest()
                if time.monotonic() >= until:
                    await asyncio.sleep(0)
                    until = time.monotonic() + _MOMENT

    def _await_rest(self) -> None:
        """Starts the timer for the rest of a request, or stops it if the request is complete."""
        assert isinstance(self._protocol, H11Protocol)
        if self._protocol.conn.their_state not in (h11.IDLE, h11.SEND_BODY):  # bytes of a head leave it at IDLE
            self._late.cancel()
        elif self._late.cancelled():
            self._late = asyncio.get_running_loop().call_later(REQUEST_WITHIN, self.close)

    async def send(self) -> None:
        """Sends what is written, until the connection is closed and everything is sent."""
        assert isinstance(self._protocol, H11Protocol)
        while True:
            while self._waiting:
                piece = bytes(self._waiting[: limits.CHUNK_SIZE])
                del self._waiting[: limits.CHUNK_SIZE]
                try:
                    await self._call.send(piece)
                except CallEnded:
                    return
                self.moved = time.monotonic()
                if self._is_full and len(self._waiting) < _HIGH // 2:
                    self._is_full = False
                    self._protocol.flow.resume_writing()
            if self._closing:
                return
            self._more.clear()
            await self._more.wait()

    # used by uvicorn -------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queues bytes to be sent."""
        if self._closing:
            return
        if not self._waiting:
            self.moved = time.monotonic()
        self._waiting += data
        self._more.set()
        if len(self._waiting) > _HIGH and not self._is_full:
            self._is_full = True
            assert isinstance(self._protocol, H11Protocol)
            self._protocol.flow.pause_writing()

    @property
    def unsent(self) -> int:
        """Bytes that are queued."""
        return len(self._waiting)

    def let_go(self) -> None:
        """Closes at once and drops what is queued."""
        self._waiting.clear()
        self.close()
        self.is_let_go.set()

    def close(self) -> None:
        """Closes once everything is sent."""
        self._closing = True
        self._late.cancel()
        self._more.set()
        self._reads.set()

    def is_closing(self) -> bool:
        """Whether close() was called."""
        return self._closing

    def pause_reading(self) -> None:
        """Stops passing bytes on; they wait at the client."""
        self._reads.clear()

    def resume_reading(self) -> None:
        """Passes bytes on again."""
        self._reads.set()


def _refusal(scope: Scope) -> PlainTextResponse | None:
    """The response that refuses a request; None if it is allowed."""
    gate = scope["state"][_HEADERS]
    assert isinstance(gate, Gate)
    values: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        values.setdefault(name, []).append(value)
    if not bearer.is_for_this_port(values.get(b"host", ()), values.get(b"origin", ()), gate.port):
        return PlainTextResponse("This door serves this machine only, not that Host or Origin.\n", 403)
    if not bearer.has_token(values.get(b"authorization", ()), gate.digest):
        return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
    if scope["path"] != PATH:
        return PlainTextResponse(f"There is nothing here; the door is {PATH}.\n", 404)
    return None
