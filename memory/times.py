"""Moments and counts as a memory keeps them (pure): microseconds since 1970, up to the end of the calendar; whole numbers."""

from typing import Final

from memory.errors import Full, Invalid

LAST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""

COUNT_LAST: Final = (1 << 53) - 1
"""The greatest number of a thing: every reader of JSON has it exactly."""


def counted(number: object, last: int = COUNT_LAST) -> int:
    """The next number of something. Raises Full where that is beyond the last: only an import can have come so far."""
    if int(str(number)) > last:
        raise Full(
            f"its numbers are used up, up to {last}: erase it, and import its export without the lines of counters"
        )
    return int(str(number))


def check_times(*moments: int | None) -> None:
    """Raise Invalid for what is no moment; None is none at all."""
    for moment in moments:
        if moment is not None and not 0 <= moment <= LAST:
            raise Invalid(f"a time lies in the years 1970 to 9999, which {moment} microseconds since 1970 does not")


def check_counts(*numbers: int, least: int = 1) -> None:
    """Raise Invalid for what nothing can be numbered or counted as."""
    for number in numbers:
        if not least <= number <= COUNT_LAST:
            raise Invalid(f"numbers go from {least} to {COUNT_LAST}, and {number} is none of them")
