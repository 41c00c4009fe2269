"""The clock for deleting expired values (acts on one small file in the state folder).

A clock may leap ahead by days and be corrected within a minute. Reads follow it at once, but a deletion could not be undone.
So for deletions a leap counts only once it has lasted for an hour (manifests/keeping.py), also across the ends of this
process, which seldom lives for so long.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from manifests.keeping import SafeClock, last_seen

NOTED: Final = "clock"
"""A file in the state folder: the believed time at its last use, and what the clock showed then, in seconds."""

_SECOND: Final = 1_000_000


class SweepClock:
    """The believed time; for several threads. now: the clock, in microseconds. steady: a clock without leaps, in seconds."""

    def __init__(self, path: Path, now: Callable[[], int], steady: Callable[[], float] = time.monotonic) -> None:
        self._path, self._now, self._steady = path, now, steady
        self._lock = threading.Lock()
        self._clock: SafeClock | None = None

    def __call__(self) -> int:
        """The believed time in microseconds. Notes it for the next process, unless the disk refuses."""
        with self._lock:
            shown, at = self._now() / _SECOND, self._steady()
            if self._clock is None:
                self._clock = SafeClock(last_seen(*self._noted(), shown), at)
            counts = self._clock.now(shown, at)
            with suppress(OSError):
                fresh = self._path.with_suffix(".new")
                fresh.write_text(f"{counts} {shown}", encoding="ascii")
                os.replace(fresh, self._path)
            return round(counts * _SECOND)

    def _noted(self) -> tuple[float, float]:
        """(the believed time, what the clock showed), as noted; zeros if nothing readable was noted."""
        try:
            counted, shown = map(float, self._path.read_text("ascii").split())
        except (OSError, ValueError):
            return 0.0, 0.0
        return counted, shown
