"""Quiet hours: spans of the day in which a schedule does not fire, such as `22:00-07:00`, in wall-clock time (pure).

A span includes its first minute and excludes its last; one whose end is before its begin crosses midnight.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import Final

from manifests.errors import ValueInvalid
from manifests.wall_clock import first_change, instant, instants, wall_of

_SPAN: Final = re.compile(r"(?a)([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAY: Final = 1440
_WRITE: Final = 'write it like "22:00-07:00"'


def check(text: str) -> tuple[int, int]:
    """Return the minutes of the day at which a span begins and ends. Raises ValueInvalid."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueInvalid(f'"{text[:80]}" is not a span of a day', _WRITE)
    begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if begin == end:
        raise ValueInvalid(f'"{text}" is the whole day or nothing', _WRITE)
    return begin, end


def cover_whole_day(spans: Iterable[str]) -> bool:
    """Whether checked spans together cover the whole day."""
    return len({minute for span in spans for minute in _minutes(*check(span))}) == _DAY


def _minutes(begin: int, end: int) -> Iterable[int]:
    return (minute % _DAY for minute in range(begin, end if end > begin else end + _DAY))


class Quiet:
    """The quiet hours of one schedule, in its zone; `bool(quiet)` says whether it has any."""

    __slots__ = ("_minutes", "_spans", "_zone")

    def __init__(self, spans: Iterable[str], of: tzinfo) -> None:
        self._zone = of
        self._spans = tuple(map(check, spans))
        self._minutes = frozenset(minute for span in self._spans for minute in _minutes(*span))

    def __bool__(self) -> bool:
        return bool(self._spans)

    def end(self, moment: int) -> int:
        """Return the first time, not earlier than `moment`, that is not quiet. Milliseconds since the epoch."""
        while self._holds(moment):
            wall = wall_of(moment, self._zone)
            ends = (at for _, end in self._spans for at in instants(_following(wall, end), self._zone))
            nearest = min(at for at in ends if at > moment)
            moment = first_change(moment, nearest, self._zone) or nearest
        return moment

    def begin(self, moment: int) -> int:
        """Return the begin of the quiet time that contains `moment`, or an earlier time; `moment` + 1 if it is not quiet."""
        while self._holds(moment):
            wall = wall_of(moment, self._zone).replace(second=0, microsecond=0)
            while _minute(wall) in self._minutes:
                wall -= timedelta(minutes=1)
            moment = min(moment, instant(wall + timedelta(minutes=1), self._zone)) - 1
        return moment + 1

    def _holds(self, moment: int) -> bool:
        return bool(self._spans) and _minute(wall_of(moment, self._zone)) in self._minutes


def _minute(wall: datetime) -> int:
    return wall.hour * 60 + wall.minute


def _following(wall: datetime, minute: int) -> datetime:
    """Return the next wall-clock time, later than `wall`, that is at this minute of the day."""
    found = wall.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)
    return found if found > wall else found + timedelta(days=1)
