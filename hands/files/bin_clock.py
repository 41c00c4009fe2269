"""The clock for the age of files in the bins (acts on one small file in the Hand's state folder).

Files removed from a bin are lost, and a clock that jumps ahead a year, as after a flat battery, would expire all of them
at once. So a time that the clock shows counts only once the clock has kept to it for an hour; until then, the last time
that counted does. Both are kept in a file across starts, since this Hand seldom lives for an hour.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

NOTED: Final = "bin-clock"
"""File in the state folder: the time that counts, and the last new time the clock showed; seconds since 1970."""

CONFIRMED_AFTER: Final = timedelta(hours=1)


def trusted_time(path: Path, now: datetime) -> datetime:
    """The time that counts. path: the clock's file; now: the time that the system's clock shows.

    If the file cannot be written, as on a full disk, its old times go on to count.
    """
    counts, shown = _read_times(path) or (datetime.fromtimestamp(0, UTC), now)
    if now < shown:
        counts, shown = min(counts, now), now
    elif now >= shown + CONFIRMED_AFTER:
        counts, shown = shown, now
    with suppress(OSError):
        fresh = path.with_suffix(".new")
        fresh.write_text(f"{counts.timestamp()} {shown.timestamp()}", encoding="ascii")
        os.replace(fresh, path)
    return counts


def _read_times(path: Path) -> tuple[datetime, datetime] | None:
    """The file's two times; None if it is missing or unreadable."""
    try:
        counts, shown = (datetime.fromtimestamp(float(one), UTC) for one in path.read_text().split())
    except (OSError, ValueError, OverflowError):
        return None
    return counts, shown
