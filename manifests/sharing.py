"""The processor time of a service, shared out among the calls that are open at it (pure).

Nobody can tell for which call a process computes, so all that are open pay alike, and for nobody's work nobody pays.
"""

from collections.abc import Collection

from manifests.calls import OpenCall


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

    def of(self, call: OpenCall) -> float:
        """Seconds that an open call has been charged."""
        return self.sum - call.shares
