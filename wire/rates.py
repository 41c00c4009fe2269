"""How fast a principal may go (pure): calls per minute, floods, and turns in front of a provider.

Every message that asks for something counts, the refused, malformed and trivial ones as well. Within twice its limit a
principal is refused and goes on; beyond that it is a flood, and its peer is ended.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias

FLOOD: Final = 2.0
"""Times its limit at which a principal is ended."""

Pace: TypeAlias = Literal["ok", "refuse", "flood"]
"""How fast a principal goes: within its limit, with nothing left of the minute's allowance, or far beyond it."""

SINGLY: Final = 16
"""Refused calls of one principal and reason that are logged each by itself within one second; more are counted."""

LATE_PER_MINUTE: Final = 60_000
"""Messages about calls that are not open any more: some cross an end on their way, a flood of them is a flood."""


class Rate:
    """A token bucket that holds a minute's allowance. Clock in seconds, passed in."""

    __slots__ = ("_allowance", "_at", "_left", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._allowance = float(per_minute)
        self._left = float(per_minute)
        self._at = now

    def take(self, now: float) -> Pace:
        """Count one."""
        refill = (now - self._at) * self._allowance / 60
        self._left = min(self._allowance, self._left + refill) - 1
        self._at = now
        if self._left >= 0:
            return "ok"
        return "flood" if self._left < -self._allowance * (FLOOD - 1) - 60 else "refuse"


class Tally:
    """Refusals of one principal and reason within one second: so many are logged singly, a flood of more as a count."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[int, str, str], tuple[int, int]] = {}

    def count(self, principal: str, code: str, second: int, singly: int = 1) -> bool:
        """Count one. True if it is among the first of its second, and so is to be logged as it is."""
        number, logged = self._counts.get((second, principal, code), (0, 0))
        is_single = logged < singly
        self._counts[second, principal, code] = (number + 1, logged + is_single)
        return is_single

    def due(self, second: int) -> Iterator[tuple[str, str, int]]:
        """Take out those whose second is over: principal, reason, and how many beyond those that were logged."""
        for since, principal, code in list(self._counts):
            if since < second:
                number, logged = self._counts.pop((since, principal, code))
                if number > logged:
                    yield principal, code, number - logged

    def __bool__(self) -> bool:
        return bool(self._counts)


class Turns:
    """A queue in front of a provider in which callers take turns, however many calls each has waiting."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[str, deque[int]] = {}

    def add(self, principal: str, number: int) -> None:
        """Put one call at the end of its caller's own queue."""
        queue = self._queues.get(principal)
        if queue is None:
            self._queues[principal] = deque((number,))
        else:
            queue.append(number)

    def next(self, may: Callable[[int], bool] = lambda _: True) -> int | None:
        """Take the call whose turn it is; its caller goes to the end of the round. None when no call waits that may go.

        A caller is passed over whose first call may not: it keeps its place in the round.
        """
        principal = next((one for one, queue in self._queues.items() if may(queue[0])), None)
        if principal is None:
            return None
        queue = self._queues.pop(principal)
        number = queue.popleft()
        if queue:
            self._queues[principal] = queue
        return number

    def all(self) -> Iterator[int]:
        """Take all, each in its turn."""
        while (number := self.next()) is not None:
            yield number

    def __bool__(self) -> bool:
        return bool(self._queues)
