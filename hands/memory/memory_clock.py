"""The time by which expired values are deleted for good (acts on one small file in the state folder).

A clock may leap ahead by days and be set right in a minute. Whoever reads a value goes by what it shows; what is deleted by
it would stay gone. So a leap counts here only once it has stood for an hour (manifests/keeping.py), also over the ends of
this process, which seldom lives for so long.
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
"""In the state folder: what counted as the time when it was noted last, and what the clock showed then, in seconds."""

_SECOND: Final = 1_000_000


class SweepClock:
    """For several threads. now: what the clock shows, in microseconds; steady: seconds of one that never leaps."""

    def __init__(self, path: Path, now: Callable[[], int], steady: Callable[[], float] = time.monotonic) -> None:
        self._path, self._now, self._steady = path, now, steady
        self._lock = threading.Lock()
        self._clock: SafeClock | None = None

    def __call__(self) -> int:
        """What counts as the time, in microseconds; noted for the next process, unless the disk refuses."""
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
        """What counted, and what the clock showed; 1970 where nothing was noted that can be read."""
        try:
            counted, shown = map(float, self._path.read_text("ascii").split())
        except (OSError, ValueError):
            return 0.0, 0.0
        return counted, shown
