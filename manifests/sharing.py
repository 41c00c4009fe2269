"""The division of a service's processor time among its open calls (pure).

Nobody can tell for which call a process computes, so all that are open pay alike, and for nobody's work nobody pays. A
program that reads that a call is over, and computes on, is taken to do the background work that every service may do.
"""

from collections.abc import Collection
from typing import Final

from manifests.calls import OpenCall

UNHEARD_MOST: Final = 16
"""The most ended calls that one run is still charged for: a run that reads nothing is charged to the oldest."""


class Serving(dict[int, OpenCall]):
    """The calls open at a run, by number. Beside them, calls that ended without the run's doing (cancelled, or past their
    deadline), until the run says that it has stopped: it may go on computing for them.
    """

    __slots__ = ("_unheard",)

    def __init__(self) -> None:
        super().__init__()
        self._unheard: dict[int, OpenCall] = {}

    @property
    def charged(self) -> list[OpenCall]:
        """The calls among which the run's processor time is divided."""
        return [*self.values(), *self._unheard.values()]

    @property
    def overdue(self) -> int:
        """How many ended calls the run has not said it has stopped; at most UNHEARD_MOST."""
        return len(self._unheard)

    def over(self, call: OpenCall, *, is_word: bool) -> None:
        """Remove a call that has ended. is_word: its provider ended it."""
        if self.pop(call.number, None) is not None and not is_word and len(self._unheard) < UNHEARD_MOST:
            self._unheard[call.number] = call

    def heard(self, number: int) -> OpenCall | None:
        """Note that the run has stopped work on a call. Returns the call if it is open."""
        self._unheard.pop(number, None)
        return self.get(number)


class Shares:
    """The shares of a service's calls. sum: seconds charged to a call that was open all the time; each call pays what was
    added to it since the call came."""

    __slots__ = ("_beside", "_first", "_seen", "sum")

    def __init__(self) -> None:
        self.sum = self._first = self._beside = 0.0
        self._seen: frozenset[int] = frozenset()

    def take(self, first: float, calls: Collection[OpenCall]) -> None:
        """Divide new time of the service's first process. first: its seconds in all; calls: those open until now."""
        before, self._first = self._first, first
        if calls:
            self.sum += (first - before) / len(calls)

    def take_beside(self, beside: float, calls: Collection[OpenCall]) -> None:
        """Divide new time of all its other processes. beside: their seconds in all, sampled a while ago. Only calls that
        were open at the last sample and still are pay, since the time may have been used before a newer one came.
        """
        share = max(0.0, beside - self._beside) / max(1, len(calls))
        for call in calls:
            call.shares += 0.0 if call.number in self._seen else share
        self.sum += share
        self._beside, self._seen = beside, frozenset(call.number for call in calls)

    def look(self, first: float, beside: float, calls: Collection[OpenCall]) -> None:
        """Divide new time of its first process and of all others. first, beside: their seconds in all."""
        self.take(first, calls)
        self.take_beside(beside, calls)

    def of(self, call: OpenCall) -> float:
        """Seconds that an open call has been charged."""
        return self.sum - call.shares
