"""Conversion between moments and wall-clock times of a zone (pure), with skipped and repeated times and clock changes.

Moments are milliseconds since the epoch; wall-clock times are datetimes without a zone.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP: Final = 43_200
"""In seconds. No zone changes its clocks twice within this time."""


def wall_of(moment: int, of: tzinfo) -> datetime:
    """Return the wall-clock time at a moment."""
    return (EPOCH + timedelta(milliseconds=moment)).astimezone(of).replace(tzinfo=None, fold=0)


def instant(wall: datetime, of: tzinfo) -> int:
    """Return the moment at which the wall clock first shows this time, or jumps over it."""
    local = wall.replace(tzinfo=of, fold=0)
    moment = _moment(local)
    if wall_of(moment, of) == wall:
        return moment
    return first_change(_moment(local.replace(fold=1)), moment, of) or moment


def instants(wall: datetime, of: tzinfo) -> tuple[int, int]:
    """Return the first and the last moment at which the wall clock shows this time; equal if it does so once."""
    return instant(wall, of), max(instant(wall, of), _moment(wall.replace(tzinfo=of, fold=1)))


def first_change(start: int, end: int, of: tzinfo) -> int | None:
    """Return the first moment later than `start`, and not later than `end`, at which the clocks change; None if none."""
    low, last = start // 1000, end // 1000
    before = _offset(low, of)
    while low < last:
        high = min(low + _STEP, last)
        if _offset(high, of) != before:
            while high - low > 1:
                middle = (low + high) // 2
                if _offset(middle, of) == before:
                    low = middle
                else:
                    high = middle
            return high * 1000
        low = high
    return None


def _offset(second: int, of: tzinfo) -> timedelta | None:
    return (EPOCH + timedelta(seconds=second)).astimezone(of).utcoffset()


def _moment(local: datetime) -> int:
    return (local - EPOCH) // timedelta(milliseconds=1)
