"""Bounds of times and counts in a memory (pure): microseconds from 1970 to 9999, and integers that JSON has exactly."""

from typing import Final

from memory.errors import Full, Invalid

LAST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""

COUNT_LAST: Final = (1 << 53) - 1
"""The greatest number of an item: every JSON parser reads it exactly."""


def usable_number(number: object, last: int = COUNT_LAST) -> int:
    """Return the next number of a counter. Raises Full if it is above `last`, which only an import can cause."""
    if int(str(number)) > last:
        raise Full(
            f"its numbers are used up, up to {last}: erase it, and import its export without the lines of counters"
        )
    return int(str(number))


def check_times(*moments: int | None) -> None:
    """Raise Invalid for times out of bounds; None is allowed."""
    for moment in moments:
        if moment is not None and not 0 <= moment <= LAST:
            raise Invalid(f"a time lies in the years 1970 to 9999, which {moment} microseconds since 1970 does not")


def check_counts(*numbers: int, least: int = 1) -> None:
    """Raise Invalid for numbers out of bounds."""
    for number in numbers:
        if not least <= number <= COUNT_LAST:
            raise Invalid(f"numbers go from {least} to {COUNT_LAST}, and {number} is none of them")
