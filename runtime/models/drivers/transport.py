"""The HTTP client of both SDKs: bounded in time and size, and independent of the environment (acts: connects).

Both SDKs use httpx2. This transport lies below them and enforces for every request what they do not:

- time: `Endpoint.first` until the first byte of the answer's body, `silence` between two, `whole` for all of it. When one is
  over, ModelFailed is raised, which an SDK may wrap (`reading` finds it again).
- what is sent: only the headers of SENT and the Endpoint's key. No headers, keys or proxies from environment variables, no
  netrc, nothing that an SDK reports about this machine. Redirects are not followed: a key goes to one address only.
- what is read: of a stream at most LARGEST bytes and events as large as bounding.py allows, whatever its content type; of any
  other answer WHOLE bytes; of an error the first ERROR bytes. Nothing compressed, so that a small answer cannot become
  a large one. The key is removed from all that comes back, headers included (hiding.py).

Certificates are the system's. A request is made once: nothing here or in an SDK retries. The number of requests at once
is not bounded here.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Final

import httpx2

from runtime.models.drivers import Endpoint
from runtime.models.drivers.bounding import EventBounds
from runtime.models.drivers.hiding import KeyFilter, hide_key
from runtime.models.failures import ModelFailed

LARGEST: Final = 64 * 2**20
"""Bytes of a stream, at most. 128,000 tokens, each in an event of its own, take about 40 MiB."""

WHOLE: Final = 8 * 2**20
"""Bytes of any other answer (vectors, models), at most; parsed it takes twenty times as much memory."""

ERROR: Final = 64 * 1024
"""Bytes of an error that are read: its message is in the first of them, and reading megabytes delayed others by seconds."""

STREAMED: Final = {"x-streamed": "yes"}
"""The header by which a driver marks a request for a stream. It is not sent."""

CONNECT: Final = 15.0
"""Seconds to connect, or `first` if that is less."""

SENT: Final = frozenset(
    {"accept", "anthropic-version", "content-length", "content-type", "host", "transfer-encoding", "user-agent"}
)
_LOUD: Final = ("anthropic", "httpcore2", "httpx2", "openai")


@cache
def _certificates() -> ssl.SSLContext:
    """Return the system's, read once for all Endpoints: that takes a hundred times as long as the rest of making a driver."""
    return httpx2.create_ssl_context(trust_env=False)


class Transport(httpx2.AsyncBaseTransport):
    """One Endpoint's connections."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._inner = httpx2.AsyncHTTPTransport(
            verify=_certificates(),
            trust_env=False,
            retries=0,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response, whose body is still to be read."""
        endpoint = self._endpoint
        began = asyncio.get_running_loop().time()
        is_streamed = STREAMED.keys() <= request.headers.keys()
        for name in [name for name in request.headers if name.lower() not in SENT]:
            del request.headers[name]
        request.headers["accept-encoding"] = "identity"
        if endpoint.key:
            request.headers["authorization"] = f"Bearer {endpoint.key}"
        connect = min(endpoint.first, endpoint.whole, CONNECT)
        request.extensions = {"timeout": {"connect": connect, "pool": None, "write": None, "read": None}}
        first, whole = began + endpoint.first, began + endpoint.whole
        try:
            async with asyncio.timeout_at(min(first, whole)):
                response = await self._inner.handle_async_request(request)
        except TimeoutError:
            raise timeout_failure(endpoint, whole <= first, any_byte=False) from None
        except httpx2.TransportError as error:
            raise connection_failure(endpoint, error, is_open=False) from None
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise _failure(endpoint, "malformed", "sent a compressed answer, which was not asked for")
        for name, value in response.headers.items():
            response.headers[name] = hide_key(value, endpoint.key)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        bounds = EventBounds() if is_streamed and response.is_success else None
        response.stream = _Body(endpoint, response.stream, first, whole, bounds, is_error=not response.is_success)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _Body(httpx2.AsyncByteStream):
    """An answer's bytes as they come. first, whole: deadlines by the loop's clock. bounds: of events, None for no stream."""

    def __init__(
        self, endpoint: Endpoint, inner: httpx2.AsyncByteStream, first: float, whole: float, bounds: EventBounds | None,
        *, is_error: bool,
    ) -> None:  # fmt: skip
        self._endpoint = endpoint
        self._inner = inner
        self._first = first
        self._whole = whole
        self._bounds = bounds
        self._is_error = is_error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        chunks = aiter(self._inner)
        key_filter = KeyFilter(self._endpoint.key)
        size, most = 0, WHOLE if self._bounds is None else LARGEST
        while True:
            until = clock() + self._endpoint.silence if size else self._first
            try:
                async with asyncio.timeout_at(min(until, self._whole)):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                if held := key_filter.rest():
                    yield held.encode("latin-1")
                return
            except TimeoutError:
                raise timeout_failure(self._endpoint, self._whole <= until, any_byte=bool(size)) from None
            except httpx2.TransportError as error:
                raise connection_failure(self._endpoint, error, is_open=True) from None
            size += len(chunk)
            if self._is_error and size > ERROR:  # what is held back is dropped: it may be most of a key
                yield key_filter.take_bytes(chunk[: ERROR - size])
                return
            excess = self._bounds.add(chunk) if self._bounds is not None else ""
            if excess or size > most:
                excess = excess or f"more than {most // 2**20} MiB for one answer"
                raise _failure(self._endpoint, "endless", f"sent {excess}")
            yield key_filter.take_bytes(chunk)

    async def aclose(self) -> None:
        """Close the connection, unless all was read."""
        await self._inner.aclose()


def client(endpoint: Endpoint) -> httpx2.AsyncClient:
    """Return the client for an SDK, and silence the logs of SDKs and httpx2, which may hold content of requests."""
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return httpx2.AsyncClient(transport=Transport(endpoint), trust_env=False, follow_redirects=False, timeout=None)


def timeout_failure(endpoint: Endpoint, is_whole: bool, *, any_byte: bool) -> ModelFailed:
    """Return the failure for the time that is over: `whole` if is_whole, else `silence` if any byte came, else `first`."""
    if is_whole:
        return _failure(endpoint, "cut", f"was still answering after {endpoint.whole:g} s in all, and was ended here")
    if any_byte:
        return _failure(endpoint, "silent", f"sent nothing for {endpoint.silence:g} s in the middle of its answer")
    return _failure(endpoint, "slow", f"sent no first byte within {endpoint.first:g} s")


def connection_failure(endpoint: Endpoint, error: httpx2.TransportError, *, is_open: bool) -> ModelFailed:
    """Return the failure for a broken connection. is_open: the answer had begun."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
        why = "in time" if isinstance(error, httpx2.ConnectTimeout) else f"({str(error)[:200] or type(error).__name__})"
        return _failure(endpoint, "unreachable", f"cannot be reached at {endpoint.base_url or 'its own address'} {why}")
    if isinstance(error, httpx2.LocalProtocolError):  # its text quotes what could not be sent, such as a key
        return _failure(endpoint, "unconfigured", "cannot be asked: its key or address holds what no header can carry")
    if isinstance(error, httpx2.ProtocolError) and not any(word in str(error) for word in ("disconnected", "closed")):
        return _failure(endpoint, "malformed", f"does not speak HTTP: {str(error)[:200]}")
    when = "in the middle of its answer" if is_open else "before it answered"
    return _failure(endpoint, "cut", f"closed the connection {when}")


def _failure(endpoint: Endpoint, code: str, what: str) -> ModelFailed:
    return ModelFailed(code, f"{endpoint.provider} {what}", provider=endpoint.provider)
