"""The times at which a schedule fires (pure; docs/schedules.md describes them for users).

All times are milliseconds since the epoch. Daylight saving, for cron and `at`:

- A time of day that the clocks skip fires when they jump, so that none is lost. Several skipped ones fire once together.
- A time of day that occurs twice fires the first time only.
- A cron expression that names every hour is a rhythm and follows real time: each minute that its wall clock shows and
  that it names fires, in both passes of an hour that occurs twice; skipped minutes are not made up for.

`every` counts real time from the moment the schedule was installed. Firings within quiet hours move to their end, several
together as one. Jitter delays each firing by an amount that depends only on its time and on a seed.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import Final

from manifests import cron
from manifests.quiet import Quiet
from manifests.schema import Schedule
from manifests.wall_clock import first_change, instant, wall_of
from manifests.zones import zone

_MILLISECOND: Final = timedelta(milliseconds=1)
LAST_MS: Final = 32_503_680_000_000
"""The year 3000: no firing is later."""


class Plan:
    """The firings of one schedule. since: when it was installed; seed: a text that is unique to it, such as its Hand's id."""

    __slots__ = ("_at", "_quiet", "_rhythm", "_since", "_zone", "schedule", "seed")

    def __init__(self, schedule: Schedule, *, since: int, seed: str) -> None:
        self.schedule, self.seed = schedule, seed
        self._since = since
        self._zone = zone(schedule.timezone)
        self._quiet = Quiet(schedule.quiet, self._zone)
        self._rhythm = bool(schedule.cron) and cron.is_for_every_hour(schedule.cron)
        self._at = instant(datetime.fromisoformat(schedule.at), self._zone) if schedule.at else None

    def next(self, after: int) -> int | None:
        """Return the first firing later than `after`; None if there is none, and for a schedule by events."""
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
        """Yield the firings later than `after` and not later than `until`, in order."""
        found = self.next(after)
        while found is not None and found <= until:
            yield found
            found = self.next(found)

    def last(self, after: int, until: int, most: int = 1) -> tuple[int, ...]:
        """Return the last firings in that interval, at most `most`, in order. Looks at few others, however long it is."""
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
        """Return the number of firings in that interval, counted up to `most`."""
        return sum(1 for _ in takewhile(lambda at: at[0] < most, enumerate(self.all(after, until))))

    def due(self, planned: int) -> int:
        """Return when a planned firing happens: with jitter, up to jitter_ms later."""
        if not self.schedule.jitter_ms:
            return planned
        spread = int.from_bytes(sha256(f"{self.seed} {planned}".encode()).digest()[:8], "big")
        return planned + spread % self.schedule.jitter_ms

    def quiet_until(self, moment: int) -> int:
        """Return the first time, not earlier than `moment`, that is not in quiet hours."""
        return self._quiet.end(moment)

    def _planned(self, after: int) -> int | None:
        """Return the first firing later than `after`, quiet hours disregarded; None if there is none."""
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
        """Return the next firing of a rhythm, in real time: between clock changes the wall clock advances with it."""
        start = moment = after
        wall = wall_of(after, self._zone)
        while True:
            found = moment + (next(cron.wall_times(self.schedule.cron, wall)) - wall) // _MILLISECOND
            changed = first_change(start, found, self._zone)
            if changed is None:
                return found
            start, moment, wall = changed, changed - 1000, wall_of(changed, self._zone) - timedelta(seconds=1)
