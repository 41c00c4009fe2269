"""The time by which what lies in the bins is old (acts on one small file in the Hand's state folder).

What is removed from a bin is gone, and a clock that leaps ahead by a year, as that of a machine with a flat battery may until
somebody sets it right, would make all of it old at once. So what the clock shows counts when it has stood by it for an hour;
until then it is as late as it showed before. It is noted from start to start, since this Hand seldom lives for an hour.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

NOTED: Final = "bin-clock"
"""In the state folder: what counts, and what the clock has shown since, two numbers of seconds since 1970."""

STANDS: Final = timedelta(hours=1)


def believed(path: Path, now: datetime) -> datetime:
    """What counts as the time; `now` is what the clock shows.

    Where that cannot be noted, as on a full disk, what was noted before goes on to count.
    """
    counts, shown = _noted(path) or (datetime.fromtimestamp(0, UTC), now)
    if now < shown:
        counts, shown = min(counts, now), now
    elif now >= shown + STANDS:
        counts, shown = shown, now
    with suppress(OSError):
        fresh = path.with_suffix(".new")
        fresh.write_text(f"{counts.timestamp()} {shown.timestamp()}", encoding="ascii")
        os.replace(fresh, path)
    return counts


def _noted(path: Path) -> tuple[datetime, datetime] | None:
    """What was noted; None where nothing was, or nothing that can be read."""
    try:
        counts, shown = (datetime.fromtimestamp(float(one), UTC) for one in path.read_text().split())
    except (OSError, ValueError, OverflowError):
        return None
    return counts, shown
