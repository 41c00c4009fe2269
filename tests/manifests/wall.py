"""An independent reference for schedules: every minute of a time, walked one after the other over dateutil's zones.

It shares nothing with what it is compared with: no cron library, no zoneinfo, and no arithmetic on offsets. dateutil reads
the same tables of zones, since the rules themselves are not in question.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files

from dateutil import tz

MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE
Fields = tuple[frozenset[int], frozenset[int], frozenset[int], frozenset[int], frozenset[int]]
"""Minutes, hours, days of a month, months, days of a week (0 is Sunday)."""

FULL: Fields = (
    frozenset(range(60)), frozenset(range(24)), frozenset(range(1, 32)), frozenset(range(1, 13)), frozenset(range(7))
)  # fmt: skip


def zone(name: str) -> tzinfo:
    """A zone as dateutil reads it."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return tz.tzfile(rules)


def fields(text: str) -> Fields:
    """A plain cron expression: numbers, `*`, ranges, lists and steps."""
    read = []
    for part, full in zip(text.split(), FULL, strict=True):
        values: set[int] = set()
        for term in part.split(","):
            span, _, step = term.partition("/")
            if span == "*":
                wanted = sorted(full)
            else:
                low, _, high = span.partition("-")
                wanted = list(range(int(low), int(high or low) + 1))
            values |= set(wanted[:: int(step or 1)])
        read.append(frozenset(values))
    return (read[0], read[1], read[2], read[3], read[4])


def named(shown: datetime, asked: Fields, *, both: bool) -> bool:
    """Whether a wall time is one that the fields name. both: the two day fields must fit, as when one begins with `*`."""
    minutes, hours, days, months, weekdays = asked
    if shown.minute not in minutes or shown.hour not in hours or shown.month not in months:
        return False
    by_day, by_week = shown.day in days, shown.isoweekday() % 7 in weekdays
    return (by_day and by_week) if both else (by_day or by_week)


@lru_cache(maxsize=8)
def walked(name: str, start: datetime, end: datetime) -> tuple[tuple[datetime, datetime, int], ...]:
    """Every minute from start to end, as stretches: when one begins, what the wall clock shows then, and how many minutes

    it goes on as it should: an hour, and single minutes in an hour at whose end another offset holds.
    """
    return tuple(_walk(zone(name), start, end))


def _walk(of: tzinfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, int]]:
    moment, shown = start, start.astimezone(of)
    offset = shown.utcoffset()
    while moment < end:
        later = (moment + HOUR).astimezone(of)
        offset_later = later.utcoffset()
        if offset == offset_later:
            yield moment, shown.replace(tzinfo=None, fold=0), 60
        else:
            for now in (moment + minute * MINUTE for minute in range(60)):
                yield now, now.astimezone(of).replace(tzinfo=None, fold=0), 1
        moment, shown, offset = moment + HOUR, later, offset_later


def firings(text: str, name: str, start: datetime, end: datetime) -> list[datetime]:
    """What the words of docs/schedules.md say of a cron expression, one minute after the other.

    start and end lie far from any change of the clocks, a whole number of hours from each other.
    """
    asked, both = fields(text), text.split()[2].startswith("*") or text.split()[4].startswith("*")
    is_rhythm = len(asked[1]) == 24
    found: list[datetime] = []
    latest: datetime | None = None
    for moment, shown, count in walked(name, start, end):
        if count > 1 and (is_rhythm or latest is None or latest + MINUTE == shown):
            found += [moment + minute * MINUTE for minute in _matching(shown, asked, both=both)]
            latest = shown + (count - 1) * MINUTE
            continue
        for minute in range(count):
            now, then = shown + minute * MINUTE, moment + minute * MINUTE
            if is_rhythm:
                found += [then] if named(now, asked, both=both) else []
            elif latest is None or now > latest:  # else it comes a second time
                step, due = latest + MINUTE if latest is not None else now, False
                while step <= now:  # more than one where the clocks jumped
                    due = due or named(step, asked, both=both)
                    step += MINUTE
                found += [then] if due else []
            latest = now if latest is None or is_rhythm else max(now, latest)
    return found


def _matching(shown: datetime, asked: Fields, *, both: bool) -> list[int]:
    """Of an hour in which the clocks do nothing odd, the minutes that the fields name."""
    last = shown + 59 * MINUTE
    if shown.hour not in asked[1] and last.hour not in asked[1]:
        return []
    first = shown.minute
    named_here = [minute for minute in range(60) if (first + minute) % 60 in asked[0]]
    return [minute for minute in named_here if named(shown + minute * MINUTE, asked, both=both)]


def milliseconds(moment: datetime) -> int:
    """A moment in milliseconds since the epoch."""
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
