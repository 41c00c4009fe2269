"""Cron expressions: validation, and the times of the wall clock that they match (pure; firings.py applies time zones).

Five fields, minute, hour, day of month, month, day of week, with lists, ranges, steps and English names; `L` is the last
day of a month, `LW` its last working day, `fri#2` its second Friday, `5L` its last one. As in Debian's cron, a day must
match both day fields if one of them begins with `*`, else either. The package `cronsim` parses and evaluates them, in
wall-clock time only: its handling of daylight saving is not used.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final

from manifests.errors import ValueInvalid

_WRITE: Final = 'write minute, hour, day, month and weekday, such as "0 9 * * mon-fri"'
_ANY_DAY: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - the wall clock has no zone here
LONGEST: Final = 200


def check(text: str) -> str:
    """Return the expression unchanged. Raises ValueInvalid if it is malformed, or matches no day at all."""
    from cronsim import CronSimError

    fields = text.split()
    if len(fields) != 5 or len(text) > LONGEST:
        many = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        found = many if len(text) <= LONGEST else f"{len(text)} characters"
        raise ValueInvalid(f'"{text[:80]}" has {found}, and a cron expression has five fields', _WRITE)
    try:
        next(wall_times(text, _ANY_DAY))
    except CronSimError as error:
        what = str(error).replace("Bad ", "its ").replace("day-of-", "day of ")
        raise ValueInvalid(f'"{text}" is not a cron expression: {what} cannot be', _WRITE) from None
    except StopIteration:
        raise ValueInvalid(f'"{text}" names a day that never comes', _WRITE) from None
    return text


def wall_times(text: str, after: datetime) -> Iterator[datetime]:
    """Yield the wall-clock times, without a zone, that a checked expression matches, later than `after`."""
    from cronsim import CronSim

    return iter(CronSim(text, after))


@lru_cache(maxsize=4096)
def is_for_every_hour(text: str) -> bool:
    """Whether the hour field matches all hours of a day, so that the expression is a rhythm rather than times of day."""
    from cronsim import CronSim

    return len(CronSim(text, _ANY_DAY).hours) == 24
