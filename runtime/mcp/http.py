"""Carries messages to and from a remote server (acts): the protocol's streamable HTTP, over calls of `web.connect`.

The package speaks HTTP; the parts below and above are ours. Below: this run has no network, so each connection is a call of
`web.connect` in the Hand's own name, which the kernel checks and `web` makes; TLS ends here. Above: an answer that is not a
stream of events has a maximum size, nothing is unpacked, and what a server may send unasked has bounds (patience.py), so no
server can fill this run's memory. How soon the rest of a stream is requested is the server's word, so that is paced.
"""

import logging
import math
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeAlias

import anyio
import httpcore2
import httpx2
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream
from httpcore2 import AsyncNetworkBackend, AsyncNetworkStream
from httpcore2._types import SOCKET_OPTION
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._context_streams import ContextReceiveStream, ContextSendStream
from mcp.shared.message import SessionMessage

from runtime import records
from runtime.calls import Stream, answering
from runtime.errors import CallEnded, CallRefused
from runtime.kernel_handle import KernelHandle
from runtime.mcp import posts
from runtime.mcp.patience import Patience
from runtime.mcp.posts import GivenUp, Post, Posts
from wire import limits
from wire.rates import Rate

LARGEST: Final = 8 * 1024 * 1024
"""Most bytes of an answer, or of one event of a stream."""

MOST: Final = "maniple.most"
"""The request extension with the most bytes of its answer, of whatever kind that is."""

Refused: TypeAlias = Callable[[str], None]
"""Called with `host:port` if the Hand may not connect there."""

_CONNECT_S: Final = 30.0
_SILENT_S: Final = 3600.0
"""Seconds to connect; seconds that a stream of events may be silent. A call's own deadline comes earlier."""

_ERROR: Final = 400
_FORGOTTEN: Final = 404
_SESSION: Final = "mcp-session-id"
"""The status of a request with this header that the server has not taken, as it does not know the session any more."""

_NO_ANSWER: Final = 503
"""The status of a request that was given up, made up here."""

_PIECE: Final = 64 * 1024

_STREAMS_PER_MINUTE: Final = 30
_PAUSE: Final = 60.0 / _STREAMS_PER_MINUTE
"""GET requests without a pause, for streams and for the rest of answers; the pause before each further one."""


class Wire(ByteStream):
    """A connection by `web.connect`, as an anyio ByteStream."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._kept = stream, b""

    @property
    def is_readable(self) -> bool:
        """Whether unread bytes or the end have arrived; on an idle connection, that it has ended."""
        return self._stream.is_readable

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Reads some bytes. Raises EndOfStream, or BrokenResourceError if the call did not end in Done."""
        try:
            piece = self._kept or await self._stream.read()
        except CallEnded as error:
            raise anyio.BrokenResourceError(str(error)) from None
        if not piece:
            raise anyio.EndOfStream
        self._kept = piece[max_bytes:]
        return piece[:max_bytes]

    async def send(self, item: bytes) -> None:
        """Sends all bytes."""
        try:
            for at in range(0, len(item), _PIECE):
                await self._stream.send(item[at : at + _PIECE])
        except CallEnded as error:
            raise anyio.BrokenResourceError(str(error)) from None

    async def send_eof(self) -> None:
        """Ends the upload."""
        await self._stream.finish()

    async def aclose(self) -> None:
        """Cancels the call."""
        await self._stream.__aexit__(ConnectionError, None, None)


@asynccontextmanager
async def _or_ended(stream: ByteStream) -> AsyncIterator[None]:
    """Closes a connection if the block fails or is cancelled, since nobody owns it yet."""
    try:
        yield
    except BaseException:
        await stream.aclose()
        raise


class _Connection(AsyncNetworkStream):
    """A connection for the pool. wire: the connection below TLS."""

    def __init__(self, stream: ByteStream, wire: Wire) -> None:
        self._stream, self._wire = stream, wire

    def known(self, info: str) -> object:
        """Whether there is something to read, by which the pool notices that the server closed an idle connection."""
        return self._wire.is_readable if info == "is_readable" else None

    get_extra_info = known
    """As the package calls it."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  the package's interface
        try:
            with anyio.fail_after(timeout):
                return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore2.ReadTimeout(str(error)) from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError) as error:
            raise httpcore2.ReadError(str(error)) from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(buffer)
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(str(error)) from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError) as error:
            raise httpcore2.WriteError(str(error)) from None

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncNetworkStream:
        try:
            async with _or_ended(self._stream):
                with anyio.fail_after(timeout):
                    wrapped = await TLSStream.wrap(
                        self._stream, ssl_context=ssl_context, hostname=server_hostname, standard_compatible=False
                    )
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from None
        except (anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError) as error:
            raise httpcore2.ConnectError(f"no TLS with {server_hostname}: {error}") from None
        return _Connection(wrapped, self._wire)


class _Calls(AsyncNetworkBackend):
    """Makes connections by calls of `web.connect`."""

    def __init__(self, kernel: KernelHandle, refused: Refused | None) -> None:
        self._kernel, self._refused = kernel, refused

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connects, in the name of no call: a connection is used for several calls, one after the other."""
        answered = answering.set(0)
        try:
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            stream = self._kernel.stream("web.connect", address, upload=True, timeout=limits.DEADLINE_MAX / 1000)
            await stream.__aenter__()
        finally:
            answering.reset(answered)
        wire = Wire(stream)
        try:
            async with _or_ended(wire):
                with anyio.fail_after(timeout):
                    await stream.read()  # the first piece means that it is connected
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from None
        except CallEnded as error:
            if self._refused is not None and isinstance(error, CallRefused) and error.code == "capability":
                self._refused(address)
            raise httpcore2.ConnectError(f"{address}: {error}") from None
        return _Connection(wire, wire)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class _Bounded(httpx2.AsyncByteStream):
    """An answer's body, bounded. post: the request it answers, which may be given up. is_events: a stream of events, which
    then ends as broken, so that nobody requests the rest of it.
    """

    def __init__(self, stream: httpx2.AsyncByteStream, most: float, post: Post, *, is_events: bool) -> None:
        self._stream, self._left, self._most = stream, most, most
        self._post, self._is_events = post, is_events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self._stream)
        while True:
            try:
                piece = await self._post.within(pieces.__anext__)
            except StopAsyncIteration:
                return
            except GivenUp:
                if self._is_events:
                    raise httpx2.SSEError("the request was given up") from None
                return
            self._left -= len(piece)
            if self._left < 0:
                raise httpx2.ReadError(f"the server's answer is larger than {int(self._most) >> 10} KiB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Transport(httpx2.AsyncHTTPTransport):
    """The package's transport over our connections, with bounded answers; ends those of requests that are given up."""

    def __init__(
        self,
        kernel: KernelHandle,
        context: ssl.SSLContext,
        refused: Refused | None,
        forgotten: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(verify=context, trust_env=False)
        self._posts, self._forgotten = Posts(), forgotten
        self._streams = Rate(_STREAMS_PER_MINUTE, time.monotonic())
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context, network_backend=_Calls(kernel, refused), max_connections=64, keepalive_expiry=20.0
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        message = posts.parse(request.method, request.content if request.method == "POST" else b"")
        if (number := message.cancels) is not None:
            self._posts.give_up(number)
        post = self._posts.of(message)
        try:
            with anyio.move_on_after(message.patience) as waiting:
                response = await post.within(partial(self._request, request))
            if waiting.cancelled_caught:
                raise GivenUp
        except GivenUp:
            return httpx2.Response(_NO_ANSWER, request=request)
        if response.status_code >= _ERROR:
            records.logger().warning("the server answered with an error", status=response.status_code)
        if response.status_code == _FORGOTTEN and message.is_request and _SESSION in request.headers:
            self._forgotten()
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.ReadError("the server packed its answer, which it was asked not to do")
        most, is_events = request.extensions.get(MOST), _is_events(response)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        bound = most or (math.inf if is_events else LARGEST)
        response.stream = _Bounded(response.stream, bound, post, is_events=is_events)
        return response

    async def _request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and self._streams.take(time.monotonic()) != "ok":
            await anyio.sleep(_PAUSE)
        return await super().handle_async_request(request)


def _is_events(response: httpx2.Response) -> bool:
    return bool(response.headers.get("content-type", "").startswith("text/event-stream"))


def outside(kernel: KernelHandle, trusted: ssl.SSLContext, refused: Refused) -> httpx2.AsyncClient:
    """A client whose requests carry none of our headers. refused: called with a host that is not granted."""
    timeout = httpx2.Timeout(_CONNECT_S)
    return httpx2.AsyncClient(transport=_Transport(kernel, trusted, refused), timeout=timeout, trust_env=False)


@asynccontextmanager
async def remote(
    url: str,
    kernel: KernelHandle,
    headers: Mapping[str, str],
    trusted: ssl.SSLContext,
    login: httpx2.Auth | None = None,
    forgotten: Callable[[], None] = lambda: None,
) -> AsyncIterator[TransportStreams]:
    """Yields the message streams to a server. Raises HandBroken if it misbehaves. login: authenticates each request.

    forgotten: called by each request that the server has not taken, since it does not know the session any more.
    """
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would log each URL, with any secrets in it
    client = httpx2.AsyncClient(
        transport=_Transport(kernel, trusted, None, forgotten),
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(_CONNECT_S, read=_SILENT_S),
        auth=login,
        trust_env=False,
    )
    patience = Patience()
    async with client, streamable_http_client(url, http_client=client, max_sse_event_size=LARGEST) as (reads, writes):
        assert isinstance(reads, ContextReceiveStream)
        assert isinstance(writes, ContextSendStream)
        heard: ContextReceiveStream[SessionMessage | Exception] = _Heard(reads, patience)
        said: ContextSendStream[SessionMessage] = _Said(writes, patience)
        yield heard, said


class _Heard(ContextReceiveStream[SessionMessage | Exception]):
    """The server's messages, counted."""

    def __init__(self, stream: ContextReceiveStream[SessionMessage | Exception], patience: Patience) -> None:
        super().__init__(stream._inner)
        self._patience = patience

    async def receive(self) -> SessionMessage | Exception:
        """The next message, or why what came is none. Raises HandBroken if the server misbehaves."""
        message = await super().receive()
        self._patience.hear(message if isinstance(message, SessionMessage) else None)
        return message


class _Said(ContextSendStream[SessionMessage]):
    """The messages to the server, counted."""

    def __init__(self, stream: ContextSendStream[SessionMessage], patience: Patience) -> None:
        super().__init__(stream._inner)
        self._patience = patience

    async def send(self, item: SessionMessage) -> None:
        """Sends a message."""
        await super().send(item)
        self._patience.say(item)
