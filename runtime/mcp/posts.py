"""Which requests to a server elsewhere are given up, and what becomes of their connections then (acts on tasks).

By the versions of the protocol up to 2025-11-25 a client tells its server that it has given a request up, and the package
goes on reading what the server answers for as long as that likes. So each call that came to no end would keep one of the
connections that this Hand may have, until none is left for a call that the server would answer. Here the notification ends
the request's connection, and whatever would be asked for in its place.
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
"""For a notification, or an answer of ours; for the one that ends the greeting, by which a slow server may only now begin."""


class GivenUp(Exception):
    """Nobody waits for this request any more."""


class _Params(msgspec.Struct):
    given_up: int | str | None = msgspec.field(name="requestId", default=None)


class Said(msgspec.Struct):
    """What is known of a message by its head. id: None for a notification; of our answer to a server, that of its request."""

    id: int | str | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def is_message(self) -> bool:
        """Whether anything is said."""
        return bool(self.method) or self.id is not None

    @property
    def is_request(self) -> bool:
        """Whether the server is to answer it."""
        return bool(self.method) and self.id is not None

    @property
    def patience(self) -> float:
        """Seconds in which the server must take it. What asks nothing gets no answer, and all that is said after it waits."""
        if self.is_request or not self.is_message:
            return math.inf
        return _GREETED_S if self.method == _GREETED else _NOTICE_S

    @property
    def given_up(self) -> int | str | None:
        """The request that it gives up."""
        if self.method != _CANCELLED:
            return None
        return msgspec.json.decode(self.params, type=_Params).given_up


class Post:
    """A request, and whatever is asked for in its place."""

    def __init__(self) -> None:
        self._is_over = False
        self._scope: anyio.CancelScope | None = None

    def give_up(self) -> None:
        """Let what it waits for come to nothing, now and later."""
        self._is_over = True
        if self._scope is not None:
            self._scope.cancel()

    async def within(self, work: Callable[[], Awaitable[T]]) -> T:
        """What it waits for. Raises GivenUp, also where nothing would have to be waited for."""
        with anyio.CancelScope() as self._scope:
            if not self._is_over:
                return await work()
        raise GivenUp


class Posts:
    """The requests of one talk, each as long as the task that sent it and asks for the rest of its answer."""

    def __init__(self) -> None:
        self._open = WeakValueDictionary[int | str, Post]()
        self._own: ContextVar[Post | None] = ContextVar("post", default=None)

    def of(self, message: Said) -> Post:
        """What is sent now, by this task: a request, more that one asks for, or what stands alone.

        An answer of ours stands alone, though its task may come from that of a request, whose number it may have, too.
        """
        if message.is_request:
            assert message.id is not None
            post = self._open[message.id] = Post()
            self._own.set(post)
            return post
        return Post() if message.is_message else self._own.get() or Post()

    def give_up(self, number: int | str) -> None:
        """As the name says; what is no open request is none."""
        if (post := self._open.pop(number, None)) is not None:
            post.give_up()


def said(method: str, content: bytes) -> Said:
    """What a request over HTTP says; nothing, for one that is no message."""
    if method != "POST":
        return Said()
    try:
        return msgspec.json.decode(content, type=Said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Said()
