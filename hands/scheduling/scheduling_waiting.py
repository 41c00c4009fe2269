"""Events that came while nothing could be kept: they wait in memory, so many of them, until there is room (values)."""

from collections import deque
from typing import Final

from msgspec import Struct

from wire.codec import Value

COUNT_MOST: Final = 1_000
BYTES_MOST: Final = 8 * 1024 * 1024
"""Events that wait, and bytes of their bodies; what comes beyond these begins nothing."""


class Heard(Struct, frozen=True, kw_only=True):
    """An event as it came. at: epoch milliseconds. key: of the runs that it begins. size: bytes of its body."""

    event: str
    body: Value
    at: int
    key: str
    depth: int
    labels: tuple[str, ...]
    size: int


class Waiting:
    """They, in order. lost: how many found no room here either, since the last that was begun."""

    def __init__(self) -> None:
        self.lost = 0
        self._events: deque[Heard] = deque()
        self._bytes = 0

    @property
    def first(self) -> Heard | None:
        """The one that came first."""
        return self._events[0] if self._events else None

    def put(self, heard: Heard) -> None:
        """One more."""
        if len(self._events) >= COUNT_MOST or self._bytes + heard.size > BYTES_MOST:
            self.lost += 1
            return
        self._events.append(heard)
        self._bytes += heard.size

    def drop(self) -> None:
        """The first waits no more."""
        self._bytes -= self._events.popleft().size
