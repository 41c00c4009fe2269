"""How both drivers ask: events of a stream into pieces, and every exception into a ModelFailed (acts: waits).

What differs between the two protocols is a Reader, which is pure. What is the same is here: the order of opening, reading
and closing, the short wait for what may follow a whole answer, and the table of what can be raised.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeVar

import httpx2
import msgspec

from runtime.models.drivers import Endpoint, bounding, saying
from runtime.models.drivers.hiding import hidden
from runtime.models.drivers.refusals import plain, refusal
from runtime.models.failures import ModelFailed, set_address
from runtime.models.messages import Answer, AnyPiece

TAIL: Final = 5.0
"""Seconds that are waited, once the answer is whole, for what only ends the stream or tells its usage."""

RAISED: Final = (
    ModelFailed,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    msgspec.MsgspecError,
    RecursionError,
    ValueError,
)
"""What may be raised on the way beside an SDK's own tree: ValueError is JSON or UTF-8 that is none."""

T = TypeVar("T")


class Events(Protocol):
    """A stream of an SDK."""

    response: httpx2.Response

    async def __anext__(self) -> object:
        """The next event's JSON."""

    async def close(self) -> None:
        """Close its connection, unless all was read."""


class Reader(Protocol):
    """Events in, pieces out. is_whole: nothing of the answer is missing."""

    @property
    def is_whole(self) -> bool:
        """See above."""

    def take(self, event: object) -> Iterable[AnyPiece]:
        """The pieces of an event. Raises ModelFailed, msgspec.ValidationError, and UnicodeEncodeError for half a letter."""

    def answer(self) -> Answer:
        """All of it, once it is whole. Raises as `take` does."""


async def streamed(
    endpoint: Endpoint, sdk: type[Exception], opening: Callable[[], Awaitable[Events]], reader: Reader
) -> AsyncGenerator[AnyPiece | Answer, None]:
    """Pieces, then the Answer. sdk: the root of the SDK's exceptions."""
    events: Events | None = None
    is_begun, size = False, 0
    try:
        events = await opening()
        while (event := await _next(events, reader)) is not None:
            is_begun = True
            for piece in reader.take(event):
                if (size := size + bounding.size_of(piece)) > bounding.ANSWER:
                    raise saying.endless(endpoint.provider, bounding.TOO_MUCH)
                yield piece
        if not reader.is_whole:
            raise _unfinished(endpoint, events.response, is_begun)
        yield reader.answer()
    except (sdk, *RAISED) as error:
        raise failure(endpoint, error) from None
    finally:
        if events is not None:
            await events.close()


async def asked(endpoint: Endpoint, sdk: type[Exception], call: Callable[[], Awaitable[object]], kind: type[T]) -> T:
    """The reply to a request that is no stream, of that type."""
    try:
        return msgspec.convert(await call(), kind)
    except (sdk, *RAISED) as error:
        raise failure(endpoint, error) from None


def failure(endpoint: Endpoint, error: BaseException) -> ModelFailed:
    """What an exception of an SDK, or of what lies below it, means; its text is without the key, whoever wrote it."""
    found = _meaning(endpoint, error)
    text = hidden(found.text, endpoint.key)
    return found if text == found.text else ModelFailed(found.code, text, after=found.after, provider=found.provider)


def _meaning(endpoint: Endpoint, error: BaseException) -> ModelFailed:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ModelFailed):
            return seen
        seen = seen.__cause__ or seen.__context__
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response) and not response.is_success:
        body = response.content if response.is_closed else b""
        return refusal(
            endpoint.provider,
            response.status_code,
            _decoded(body),
            key=endpoint.key,
            headers={name.lower(): value for name, value in response.headers.items()},
            now=time.time(),
        )
    if getattr(error, "body", None) is not None:
        return refusal(endpoint.provider, 200, getattr(error, "body", None), key=endpoint.key)
    why = plain(str(error), endpoint.key) if isinstance(error, msgspec.MsgspecError) else type(error).__name__
    return saying.malformed(endpoint.provider, why)


async def _next(events: Events, reader: Reader) -> object | None:
    """The next event; None at the end, and where only the end of a whole answer fails."""
    while True:
        try:
            async with asyncio.timeout(TAIL if reader.is_whole else None):
                event = await anext(events)
        except StopAsyncIteration:
            return None
        except (TimeoutError, ModelFailed):
            if reader.is_whole:
                return None
            raise
        if event is not None:
            return event


def _unfinished(endpoint: Endpoint, response: httpx2.Response, is_begun: bool) -> ModelFailed:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not is_begun and kind != "text/event-stream":
        return ModelFailed(
            "malformed",
            f"{endpoint.provider} answered with {plain(kind) or 'nothing'}, not with events: if its address is another, "
            f"{set_address(endpoint.provider)}",
            provider=endpoint.provider,
        )
    return ModelFailed("cut", f"{endpoint.provider} ended its stream before its answer", provider=endpoint.provider)


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body[:2000].decode(errors="replace")
