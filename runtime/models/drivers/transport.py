"""The HTTP client that both SDKs are given: bounded in time and size, and closed to the environment (acts: connects).

Both SDKs speak through httpx2. This transport stands below them, so that what they cannot do holds for every request:

- time: `Endpoint.first` until the first byte of the answer's body, `silence` between two, `whole` for all of it. Each ends
  as a ModelFailed, which an SDK may wrap (`reading` finds it again).
- what is sent: only the headers of SENT, and the key of the Endpoint: neither headers, keys nor proxies of environment
  variables, nor a netrc, nor what an SDK tells of this machine. Redirects are not followed: a key goes to one address.
- what is read: of a stream LARGEST bytes at most, and events as bounding.py has them, whatever it calls itself; of any other
  answer WHOLE bytes, and of an error the first ERROR; not compressed, so that a small answer cannot become a large one. The
  key is taken out of whatever comes back, its headers too (hiding.py).

Certificates: those of the system. A request is made once: nothing here or in an SDK tries again. How many may be under way
at once is not decided here.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Final

import httpx2

from runtime.models.drivers import Endpoint
from runtime.models.drivers.bounding import Event
from runtime.models.drivers.hiding import Hiding, hidden
from runtime.models.failures import ModelFailed

LARGEST: Final = 64 * 2**20
"""Bytes of a stream. One of 128,000 tokens, each in an event of its own, has about 40 MiB."""

WHOLE: Final = 8 * 2**20
"""Bytes of an answer that is no stream, which takes twenty times as many once it is read: vectors, models."""

ERROR: Final = 64 * 1024
"""Bytes of an error that are read: what it says is in the first of them, and one of megabytes took seconds from everybody."""

STREAMED: Final = {"x-streamed": "yes"}
"""By this header a driver says that it asks for a stream. It is not sent."""

CONNECT: Final = 15.0
"""Seconds to be connected, if `first` is not less."""

SENT: Final = frozenset(
    {"accept", "anthropic-version", "content-length", "content-type", "host", "transfer-encoding", "user-agent"}
)
_LOUD: Final = ("anthropic", "httpcore2", "httpx2", "openai")


@cache
def _certificates() -> ssl.SSLContext:
    """Those of the system, read once for all Endpoints: that takes a hundred times as long as all else of making a driver."""
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
        """The response, its body still to come."""
        end = self._endpoint
        began = asyncio.get_running_loop().time()
        is_streamed = STREAMED.keys() <= request.headers.keys()
        for name in [name for name in request.headers if name.lower() not in SENT]:
            del request.headers[name]
        request.headers["accept-encoding"] = "identity"
        if end.key:
            request.headers["authorization"] = f"Bearer {end.key}"
        connect = min(end.first, end.whole, CONNECT)
        request.extensions = {"timeout": {"connect": connect, "pool": None, "write": None, "read": None}}
        first, whole = began + end.first, began + end.whole
        try:
            async with asyncio.timeout_at(min(first, whole)):
                response = await self._inner.handle_async_request(request)
        except TimeoutError:
            raise late(end, whole <= first, any_byte=False) from None
        except httpx2.TransportError as error:
            raise failure_of(end, error, is_open=False) from None
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise _failed(end, "malformed", "sent a compressed answer, which was not asked for")
        for name, value in response.headers.items():
            response.headers[name] = hidden(value, end.key)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        event = Event() if is_streamed and response.is_success else None
        response.stream = _Body(end, response.stream, first, whole, event, is_error=not response.is_success)
        return response

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


class _Body(httpx2.AsyncByteStream):
    """The bytes of an answer as they come. first, whole: until when, by the loop's clock. event: of a stream of them."""

    def __init__(
        self, endpoint: Endpoint, inner: httpx2.AsyncByteStream, first: float, whole: float, event: Event | None,
        *, is_error: bool,
    ) -> None:  # fmt: skip
        self._endpoint = endpoint
        self._inner = inner
        self._first = first
        self._whole = whole
        self._event = event
        self._is_error = is_error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        chunks = aiter(self._inner)
        hiding = Hiding(self._endpoint.key)
        size, most = 0, WHOLE if self._event is None else LARGEST
        while True:
            until = clock() + self._endpoint.silence if size else self._first
            try:
                async with asyncio.timeout_at(min(until, self._whole)):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                if held := hiding.rest():
                    yield held
                return
            except TimeoutError:
                raise late(self._endpoint, self._whole <= until, any_byte=bool(size)) from None
            except httpx2.TransportError as error:
                raise failure_of(self._endpoint, error, is_open=True) from None
            size += len(chunk)
            if self._is_error and size > ERROR:  # what is held back stays so: it may be most of a key
                yield hiding.take(chunk[: ERROR - size])
                return
            wrong = self._event.grown(chunk) if self._event is not None else ""
            if wrong or size > most:
                wrong = wrong or f"more than {most // 2**20} MiB for one answer"
                raise _failed(self._endpoint, "endless", f"sent {wrong}")
            yield hiding.take(chunk)

    async def aclose(self) -> None:
        """End it; its connection is closed, unless all was read."""
        await self._inner.aclose()


def client(endpoint: Endpoint) -> httpx2.AsyncClient:
    """The client for an SDK. What SDKs and httpx2 log of a request stays out of logs: it may hold content."""
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return httpx2.AsyncClient(transport=Transport(endpoint), trust_env=False, follow_redirects=False, timeout=None)


def late(endpoint: Endpoint, is_whole: bool, *, any_byte: bool) -> ModelFailed:
    """Which of an Endpoint's times was over."""
    if is_whole:
        return _failed(endpoint, "cut", f"was still answering after {endpoint.whole:g} s in all, and was ended here")
    if any_byte:
        return _failed(endpoint, "silent", f"sent nothing for {endpoint.silence:g} s in the middle of its answer")
    return _failed(endpoint, "slow", f"sent no first byte within {endpoint.first:g} s")


def failure_of(endpoint: Endpoint, error: httpx2.TransportError, *, is_open: bool) -> ModelFailed:
    """What a broken connection is. is_open: the answer had begun."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
        why = "in time" if isinstance(error, httpx2.ConnectTimeout) else f"({str(error)[:200] or type(error).__name__})"
        return _failed(endpoint, "unreachable", f"cannot be reached at {endpoint.base_url or 'its own address'} {why}")
    if isinstance(error, httpx2.LocalProtocolError):  # its text quotes what could not be sent, such as a key
        return _failed(endpoint, "unconfigured", "cannot be asked: its key or address holds what no header can carry")
    if isinstance(error, httpx2.ProtocolError) and not any(word in str(error) for word in ("disconnected", "closed")):
        return _failed(endpoint, "malformed", f"does not speak HTTP: {str(error)[:200]}")
    return _failed(
        endpoint, "cut", f"closed the connection {'in the middle of its answer' if is_open else 'before it answered'}"
    )


def _failed(endpoint: Endpoint, code: str, what: str) -> ModelFailed:
    return ModelFailed(code, f"{endpoint.provider} {what}", provider=endpoint.provider)
