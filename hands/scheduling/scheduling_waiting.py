"""Events that arrive while the disk has no room: a bounded queue in memory (values)."""

from collections import deque
from typing import Final

from msgspec import Struct

from wire.codec import Value

COUNT_MOST: Final = 1_000
BYTES_MOST: Final = 8 * 1024 * 1024
"""Waiting events, and bytes of their bodies. Events beyond these start nothing."""


class Heard(Struct, frozen=True, kw_only=True):
    """A received event. at: epoch milliseconds. key: of the firings that it causes. size: bytes of its body."""

    event: str
    body: Value
    at: int
    key: str
    depth: int
    labels: tuple[str, ...]
    size: int


class Waiting:
    """The queue. lost: events that found no room since the count was last reset."""

    def __init__(self) -> None:
        self.lost = 0
        self._events: deque[Heard] = deque()
        self._bytes = 0

    @property
    def first(self) -> Heard | None:
        """The oldest event; None if there is none."""
        return self._events[0] if self._events else None

    def put(self, heard: Heard) -> None:
        """Appends an event, or counts it as lost."""
        if len(self._events) >= COUNT_MOST or self._bytes + heard.size > BYTES_MOST:
            self.lost += 1
            return
        self._events.append(heard)
        self._bytes += heard.size

    def drop(self) -> None:
        """Removes the oldest event."""
        self._bytes -= self._events.popleft().size
