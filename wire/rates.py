"""Rate limits (pure): calls per minute, floods, and turns of callers in front of a provider.

Every request counts, refused, malformed and trivial ones too. Up to twice its limit, a principal's requests are refused;
beyond that it floods, and its peer is ended.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias

FLOOD: Final = 2.0
"""Multiple of its limit at which a principal's peer is ended."""

Pace: TypeAlias = Literal["ok", "refuse", "flood"]
"""ok: within the limit. refuse: the minute's allowance is used up. flood: far beyond it."""

SINGLY: Final = 16
"""Refused calls of one principal, for one reason, that are logged singly within a second; further ones are only counted."""

LATE_PER_MINUTE: Final = 60_000
"""Messages per minute that a peer may send about calls that are no longer open: some cross an end on its way."""


class Rate:
    """A token bucket that holds a minute's allowance. now: a clock in seconds."""

    __slots__ = ("_allowance", "_at", "_left", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._allowance = float(per_minute)
        self._left = float(per_minute)
        self._at = now

    def take(self, now: float) -> Pace:
        """Take one token. Returns how fast the principal goes."""
        refill = (now - self._at) * self._allowance / 60
        self._left = min(self._allowance, self._left + refill) - 1
        self._at = now
        if self._left >= 0:
            return "ok"
        return "flood" if self._left < -self._allowance * (FLOOD - 1) - 60 else "refuse"


class Tally:
    """Counts of refusals by second, principal and reason. The first ones are logged singly, the others as a count."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[int, str, str], tuple[int, int]] = {}

    def count(self, principal: str, code: str, second: int, singly: int = 1) -> bool:
        """Count a refusal. Returns whether it is to be logged singly: it is among the first `singly` of its second."""
        number, logged = self._counts.get((second, principal, code), (0, 0))
        is_single = logged < singly
        self._counts[second, principal, code] = (number + 1, logged + is_single)
        return is_single

    def drain(self, second: int) -> Iterator[tuple[str, str, int]]:
        """Remove the counts whose second is over. Yields principal, reason, and how many were not logged singly."""
        for since, principal, code in list(self._counts):
            if since < second:
                number, logged = self._counts.pop((since, principal, code))
                if number > logged:
                    yield principal, code, number - logged

    def __bool__(self) -> bool:
        return bool(self._counts)


class Turns:
    """A queue of calls in front of a provider, in which callers take turns however many calls each has waiting."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[str, deque[int]] = {}

    def add(self, principal: str, number: int) -> None:
        """Put a call at the end of its caller's own queue."""
        queue = self._queues.get(principal)
        if queue is None:
            self._queues[principal] = deque((number,))
        else:
            queue.append(number)

    def take_next(self, may: Callable[[int], bool] = lambda _: True) -> int | None:
        """Remove and return the call whose turn it is; its caller goes to the end of the round. None if no call may go.

        may: whether a call may go. A caller whose first call may not is skipped, and keeps its place in the round.
        """
        principal = next((one for one, queue in self._queues.items() if may(queue[0])), None)
        if principal is None:
            return None
        queue = self._queues.pop(principal)
        number = queue.popleft()
        if queue:
            self._queues[principal] = queue
        return number

    def take_all(self) -> Iterator[int]:
        """Remove and yield all calls, each in its turn."""
        while (number := self.take_next()) is not None:
            yield number

    def __bool__(self) -> bool:
        return bool(self._queues)
