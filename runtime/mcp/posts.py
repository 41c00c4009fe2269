"""Ends requests to a remote server that were given up, with their connections (acts on tasks).

By the protocol's versions up to 2025-11-25 a client notifies its server that it has given a request up, but the package goes
on reading the server's answer for as long as the server likes. So each such call would keep one of the connections that this
Hand may have, until none is left for other calls. Here the notification ends the request's connection, and those of any
requests for the rest of its answer.
"""

import math
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import anyio
import msgspec

T = TypeVar("T")

_CANCELLED: Final = "notifications/cancelled"
_GREETED: Final = "notifications/initialized"

_NOTICE_S: Final = 5.0
_GREETED_S: Final = 45.0
"""For a notification or an answer of ours; for the end of the greeting, at which a slow server may only start."""


class GivenUp(Exception):
    """Nobody waits for this request any more."""


class _Params(msgspec.Struct):
    request_id: int | str | None = msgspec.field(name="requestId", default=None)


class Message(msgspec.Struct):
    """The head of a message. id: None for a notification; in our answer to a server, that of its request."""

    id: int | str | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def is_message(self) -> bool:
        """Whether this is a message at all."""
        return bool(self.method) or self.id is not None

    @property
    def is_request(self) -> bool:
        """Whether the server must answer it."""
        return bool(self.method) and self.id is not None

    @property
    def patience(self) -> float:
        """Seconds in which the server must take it. Later messages wait for one that gets no answer."""
        if self.is_request or not self.is_message:
            return math.inf
        return _GREETED_S if self.method == _GREETED else _NOTICE_S

    @property
    def cancels(self) -> int | str | None:
        """The id of the request that it gives up."""
        if self.method != _CANCELLED:
            return None
        return msgspec.json.decode(self.params, type=_Params).request_id


class Post:
    """A request, and any requests for the rest of its answer."""

    def __init__(self) -> None:
        self._is_over = False
        self._scope: anyio.CancelScope | None = None

    def give_up(self) -> None:
        """Ends what it waits for, now and later."""
        self._is_over = True
        if self._scope is not None:
            self._scope.cancel()

    async def within(self, work: Callable[[], Awaitable[T]]) -> T:
        """Awaits `work`. Raises GivenUp once it was given up, even before."""
        with anyio.CancelScope() as self._scope:
            if not self._is_over:
                return await work()
        raise GivenUp


class Posts:
    """The requests of one session, each as long as the task that sent it and requests the rest of its answer."""

    def __init__(self) -> None:
        self._open = WeakValueDictionary[int | str, Post]()
        self._own: ContextVar[Post | None] = ContextVar("post", default=None)

    def of(self, message: Message) -> Post:
        """The Post of a message that this task sends: a request's, also when more of its answer is requested, or a new one.

        An answer of ours gets a new one, though its task may come from a request's, and it may have a request's id.
        """
        if message.is_request:
            assert message.id is not None
            post = self._open[message.id] = Post()
            self._own.set(post)
            return post
        return Post() if message.is_message else self._own.get() or Post()

    def give_up(self, number: int | str) -> None:
        """Gives an open request up; ignores others."""
        if (post := self._open.pop(number, None)) is not None:
            post.give_up()


def parse(method: str, content: bytes) -> Message:
    """The message in an HTTP request; an empty one if there is none."""
    if method != "POST":
        return Message()
    try:
        return msgspec.json.decode(content, type=Message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Message()
