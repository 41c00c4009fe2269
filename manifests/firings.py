"""When a schedule fires: from its keys, its zone and a moment to the next one (pure; docs/schedules.md tells it to people).

All times are milliseconds since the epoch. What daylight saving means here, for cron and `at`:

- A time of day that the clocks skip fires when they jump: nothing is lost. Several that are skipped fire once together.
- A time of day that comes twice fires the first time: nothing is done twice.
- A cron expression that names every hour is a rhythm, and follows real time: each minute that its wall clock shows and
  that it names fires, in both passes of an hour that comes twice; what is skipped is not made up.

`every` counts real time from the moment the schedule was installed. Firings within quiet hours wait for their end, several
together as one. Jitter delays each firing by an amount that depends on it and on a seed, and on nothing else.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import Final

from manifests import cron
from manifests.quiet import Quiet
from manifests.schema import Schedule
from manifests.wall_clock import change, instant, wall_of
from manifests.zones import zone

_MILLISECOND: Final = timedelta(milliseconds=1)
LAST_MS: Final = 32_503_680_000_000
"""The year 3000: nothing is planned later."""


class Plan:
    """The firings of one schedule. since: when it was installed; seed: any text of its own, such as its Hand's id."""

    __slots__ = ("_at", "_quiet", "_rhythm", "_since", "_zone", "schedule", "seed")

    def __init__(self, schedule: Schedule, *, since: int, seed: str) -> None:
        self.schedule, self.seed = schedule, seed
        self._since = since
        self._zone = zone(schedule.timezone)
        self._quiet = Quiet(schedule.quiet, self._zone)
        self._rhythm = bool(schedule.cron) and cron.is_for_every_hour(schedule.cron)
        self._at = instant(datetime.fromisoformat(schedule.at), self._zone) if schedule.at else None

    def next(self, after: int) -> int | None:
        """The first firing later than a moment; None when there is none, and for a schedule by events."""
        if after >= LAST_MS:
            return None
        found = self._planned(min(after, self._quiet.begin(after) - 1))
        while found is not None:
            told = self._quiet.end(found)
            if told > after:
                return told
            found = self._planned(found if told == found else told - 1)
        return None

    def all(self, after: int, until: int) -> Iterator[int]:
        """The firings later than `after` and not later than `until`, in order."""
        found = self.next(after)
        while found is not None and found <= until:
            yield found
            found = self.next(found)

    def last(self, after: int, until: int, most: int = 1) -> tuple[int, ...]:
        """The last firings of that time, `most` of them at most, in order; however long it is, few others are looked at."""
        every = self.schedule.every_ms
        if every and not self._quiet:
            after = max(after, self._since + ((until - self._since) // every - most) * every)
        width = max(every * most, 60_000)
        while True:
            begin = max(after, until - width)
            found = tuple(self.all(begin, until))
            if len(found) >= most or begin == after:
                return found[-most:]
            width *= 8

    def count(self, after: int, until: int, most: int) -> int:
        """How many firings there are in that time; `most` for so many and more."""
        return sum(1 for _ in takewhile(lambda at: at[0] < most, enumerate(self.all(after, until))))

    def due(self, planned: int) -> int:
        """The moment at which a planned firing is to happen: with jitter, up to so much later."""
        if not self.schedule.jitter_ms:
            return planned
        spread = int.from_bytes(sha256(f"{self.seed} {planned}".encode()).digest()[:8], "big")
        return planned + spread % self.schedule.jitter_ms

    def quiet_until(self, moment: int) -> int:
        """The first moment, not earlier than this one, that lies in no quiet hours."""
        return self._quiet.end(moment)

    def _planned(self, after: int) -> int | None:
        """The first firing later than a moment, were there no quiet hours."""
        if self._at is not None:
            return self._at if self._at > after else None
        if self.schedule.every_ms:
            every = self.schedule.every_ms
            return self._since + max(1, (after - self._since) // every + 1) * every
        if not self.schedule.cron:
            return None
        try:
            return self._beat(after) if self._rhythm else self._time_of_day(after)
        except (StopIteration, OverflowError):
            return None

    def _time_of_day(self, after: int) -> int:
        for wall in cron.wall_times(self.schedule.cron, wall_of(after, self._zone)):
            moment = instant(wall, self._zone)
            if moment > after:
                return moment
        raise StopIteration

    def _beat(self, after: int) -> int:
        """Real time: between two changes of the clocks the wall clock runs as fast as time does."""
        start = moment = after
        wall = wall_of(after, self._zone)
        while True:
            found = moment + (next(cron.wall_times(self.schedule.cron, wall)) - wall) // _MILLISECOND
            changed = change(start, found, self._zone)
            if changed is None:
                return found
            start, moment, wall = changed, changed - 1000, wall_of(changed, self._zone) - timedelta(seconds=1)
