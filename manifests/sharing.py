"""The processor time of a service, shared out among the calls that are open at it (pure).

Nobody can tell for which call a process computes, so all that are open pay alike, and for nobody's work nobody pays. A
program that reads that a call is over, and computes on, is taken to do the background work that every service may do.
"""

from collections.abc import Collection
from typing import Final

from manifests.calls import OpenCall

UNHEARD_MOST: Final = 16
"""Calls of one run that are kept beyond their end: of a run that hears nothing the oldest are charged most."""


class Serving(dict[int, OpenCall]):
    """The calls that are open at a run, by their numbers; and those that were ended over its head (their time was up, or
    nobody wanted them any more) until it says that it is done with them, too: it may compute for them for ever.
    """

    __slots__ = ("_unheard",)

    def __init__(self) -> None:
        super().__init__()
        self._unheard: dict[int, OpenCall] = {}

    @property
    def charged(self) -> list[OpenCall]:
        """Who pays for what the run computes."""
        return [*self.values(), *self._unheard.values()]

    @property
    def overdue(self) -> int:
        """How many calls were ended over its head, UNHEARD_MOST at most."""
        return len(self._unheard)

    def over(self, call: OpenCall, *, is_word: bool) -> None:
        """A call has ended; is_word: as its provider said."""
        if self.pop(call.number, None) is not None and not is_word and len(self._unheard) < UNHEARD_MOST:
            self._unheard[call.number] = call

    def heard(self, number: int) -> OpenCall | None:
        """The call that the run says it is done with, if it is open."""
        self._unheard.pop(number, None)
        return self.get(number)


class Shares:
    """sum: seconds that a call would have been charged that was open all the time; each pays what was added since it came."""

    __slots__ = ("_beside", "_first", "_seen", "sum")

    def __init__(self) -> None:
        self.sum = self._first = self._beside = 0.0
        self._seen: frozenset[int] = frozenset()

    def take(self, first: float, calls: Collection[OpenCall]) -> None:
        """The service's first process has used so many seconds by now; calls: those that were open until now."""
        before, self._first = self._first, first
        if calls:
            self.sum += (first - before) / len(calls)

    def take_beside(self, beside: float, calls: Collection[OpenCall]) -> None:
        """All its other processes have used so many, as of a look a while ago: what is new since the last time is charged to
        the calls that were open then and still are, since it may have been used before another one came.
        """
        share = max(0.0, beside - self._beside) / max(1, len(calls))
        for call in calls:
            call.shares += 0.0 if call.number in self._seen else share
        self.sum += share
        self._beside, self._seen = beside, frozenset(call.number for call in calls)

    def look(self, first: float, beside: float, calls: Collection[OpenCall]) -> None:
        """What its first process and all others have used by now."""
        self.take(first, calls)
        self.take_beside(beside, calls)

    def of(self, call: OpenCall) -> float:
        """Seconds that an open call has been charged."""
        return self.sum - call.shares
