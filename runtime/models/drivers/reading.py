"""Reads a stream of events into pieces, and turns every exception into a ModelFailed, for both protocols (acts: waits).

What differs between the protocols is in a Reader, which is pure. What is the same is here: the order of opening, reading and
closing, the short wait for what may follow a whole answer, and the exceptions that can be raised.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeVar

import httpx2
import msgspec

from runtime.models.drivers import Endpoint, answers, bounding
from runtime.models.drivers.hiding import PieceFilter, hide_key
from runtime.models.drivers.refusals import parse_refusal, printable
from runtime.models.failures import ModelFailed, set_address
from runtime.models.messages import Answer, AnyPiece

TAIL: Final = 5.0
"""Seconds to wait, once the answer is whole, for its usage and the end of the stream, whatever else still comes."""

RAISED: Final = (
    ModelFailed,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    msgspec.MsgspecError,
    RecursionError,
    ValueError,
)
"""Exceptions that may be raised beside an SDK's own; ValueError is for invalid JSON or UTF-8."""

T = TypeVar("T")


class Events(Protocol):
    """A stream of events, as an SDK returns it."""

    response: httpx2.Response

    async def __anext__(self) -> object:
        """Return the next event's JSON."""

    async def close(self) -> None:
        """Close the connection, unless all was read."""


class Reader(Protocol):
    """Turns events into pieces and an Answer."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the answer is missing."""

    def take(self, event: object) -> Iterable[AnyPiece]:
        """Return an event's pieces. Raises ModelFailed, msgspec.ValidationError, UnicodeEncodeError for a lone surrogate."""

    def answer(self) -> Answer:
        """Return the Answer, once it is whole. Raises as `take` does."""


async def stream_pieces(
    endpoint: Endpoint, sdk: type[Exception], opening: Callable[[], Awaitable[Events]], reader: Reader
) -> AsyncGenerator[AnyPiece | Answer, None]:
    """Yield pieces, then the Answer. sdk: the root of the SDK's exceptions. opening: starts the request."""
    events: Events | None = None
    is_begun, size, key_filter = False, 0, PieceFilter(endpoint.key)
    until: float | None = None
    try:
        events = await opening()
        while (event := await _next_event(events, until)) is not None:
            is_begun = True
            for piece in reader.take(event):
                if (size := size + bounding.size_of(piece)) > bounding.ANSWER:
                    raise answers.endless(endpoint.provider, bounding.TOO_MUCH)
                for clean in key_filter.take(piece):
                    yield clean
            if reader.is_whole:
                for clean in key_filter.rest():
                    yield clean
                until = until or asyncio.get_running_loop().time() + TAIL
        if not reader.is_whole:
            raise _unfinished(endpoint, events.response, is_begun)
        yield key_filter.hide_in(reader.answer())
    except (sdk, *RAISED) as error:
        raise as_failure(endpoint, error) from None
    finally:
        if events is not None:
            await events.close()


async def ask(endpoint: Endpoint, sdk: type[Exception], call: Callable[[], Awaitable[object]], kind: type[T]) -> T:
    """Return the reply, of type `kind`, to a request without a stream."""
    try:
        return msgspec.convert(await call(), kind)
    except (sdk, *RAISED) as error:
        raise as_failure(endpoint, error) from None


def as_failure(endpoint: Endpoint, error: BaseException) -> ModelFailed:
    """Return the ModelFailed for an exception of an SDK, or of what lies below it, with the key removed from its text."""
    found = _classify(endpoint, error)
    text = hide_key(found.text, endpoint.key)
    return found if text == found.text else ModelFailed(found.code, text, after=found.after, provider=found.provider)


def _classify(endpoint: Endpoint, error: BaseException) -> ModelFailed:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ModelFailed):
            return seen
        seen = seen.__cause__ or seen.__context__
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response) and not response.is_success:
        body = response.content if response.is_closed else b""
        return parse_refusal(
            endpoint.provider,
            response.status_code,
            _decoded(body),
            key=endpoint.key,
            headers={name.lower(): value for name, value in response.headers.items()},
            now=time.time(),
        )
    if getattr(error, "body", None) is not None:
        return parse_refusal(endpoint.provider, 200, getattr(error, "body", None), key=endpoint.key)
    why = printable(str(error), endpoint.key) if isinstance(error, msgspec.MsgspecError) else type(error).__name__
    return answers.malformed(endpoint.provider, why)


async def _next_event(events: Events, until: float | None) -> object | None:
    """Return the next event; None at the end. until: by the loop's clock, if the answer is whole: then nothing fails."""
    while True:
        try:
            async with asyncio.timeout_at(until):
                event = await anext(events)
        except StopAsyncIteration:
            return None
        except (TimeoutError, ModelFailed):
            if until is not None:
                return None
            raise
        if event is not None:
            return event


def _unfinished(endpoint: Endpoint, response: httpx2.Response, is_begun: bool) -> ModelFailed:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not is_begun and kind != "text/event-stream":
        return ModelFailed(
            "malformed",
            f"{endpoint.provider} answered with {printable(kind) or 'nothing'}, not with events: if its address is wrong, "
            f"{set_address(endpoint.provider)}",
            provider=endpoint.provider,
        )
    return ModelFailed("cut", f"{endpoint.provider} ended its stream before its answer", provider=endpoint.provider)


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body[:2000].decode(errors="replace")
