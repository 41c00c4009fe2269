"""Between moments and what the wall clock of a zone shows (pure): skipped and repeated times, and when clocks change.

Moments are milliseconds since the epoch; wall times are datetimes without a zone.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP: Final = 43_200
"""Seconds. No zone changes its clocks twice within so long."""


def wall_of(moment: int, of: tzinfo) -> datetime:
    """What the wall clock shows at a moment."""
    return (EPOCH + timedelta(milliseconds=moment)).astimezone(of).replace(tzinfo=None, fold=0)


def instant(wall: datetime, of: tzinfo) -> int:
    """The moment at which the wall clock shows this for the first time, or jumps over it."""
    local = wall.replace(tzinfo=of, fold=0)
    moment = _moment(local)
    if wall_of(moment, of) == wall:
        return moment
    return change(_moment(local.replace(fold=1)), moment, of) or moment


def instants(wall: datetime, of: tzinfo) -> tuple[int, int]:
    """The moments at which the wall clock shows this, first and last; the same twice where it does so once."""
    return instant(wall, of), max(instant(wall, of), _moment(wall.replace(tzinfo=of, fold=1)))


def change(start: int, end: int, of: tzinfo) -> int | None:
    """The first moment later than `start`, and not later than `end`, at which the clocks change; None without one."""
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
