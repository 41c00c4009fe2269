"""Retention of the tapes of ended runs (pure): by age, by outcome and by their total size.

Tapes of failed runs are kept longer, since people return to those. Above the total size, the oldest are erased first.
Erasing removes the bodies that a run received and the key of its digests; the log and all its proofs stay unchanged.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

DAY: Final = 86_400.0
LEAP, STANDS = 60.0, 3600.0
"""In seconds. A clock leaps if it advances by more than LEAP beyond the time that passed; the new time is believed after
STANDS."""

Days = Annotated[int, Meta(ge=0, le=36_500)]


class Keep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[journal] of home.toml. days: to keep runs that ended in `done`; failed_days: all others; mib: the most MiB in all."""

    days: Days = 30
    failed_days: Days = 90
    mib: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1024


class Kept(Struct, frozen=True, kw_only=True):
    """The tape of an ended run. age: seconds since the last write; size: bytes. is_done: its work ended in `done`."""

    run: str
    age: float
    size: int
    is_done: bool


class SafeClock:
    """The clock for ages of tapes: after a leap ahead of the machine's clock, it follows only once that has stood for STANDS.

    The clock of a machine that has just started is often wrong and corrected within a minute, while erased data is gone.
    The fields hold how far it is ahead of a clock that never leaps: as believed, and as shown.
    """

    def __init__(self, seen: float, at: float) -> None:
        """seen: the last known time of the machine's clock, seconds since 1970. at: seconds of a clock that never leaps."""
        self._believed = self._shown = seen - at
        self._since = at

    def now(self, shown: float, at: float) -> float:
        """Return the believed time, in seconds since 1970. shown: the machine's clock; at: the clock that never leaps."""
        ahead = shown - at
        if abs(ahead - self._shown) > LEAP:
            self._shown, self._since = ahead, at
        if ahead <= self._believed + LEAP or at - self._since >= STANDS:
            self._believed = ahead
        return at + self._believed


def seconds_until(until: float, shown: float, counts: float) -> float:
    """Return the seconds to wait before checking again whether the time `until` has come; 0 if it has.

    shown: the machine's clock; counts: the believed time, see SafeClock. Seconds since 1970.
    """
    return until - shown if shown < until else max(0.0, min(until - counts, STANDS))


def last_seen(counted: float, noted: float, shown: float) -> float:
    """Return `seen` for a SafeClock, from an earlier process's last note. counted: the believed time when it was noted;
    noted, shown: the machine's clock then and now. Seconds since 1970.

    So another start soon after a leap does not believe it any more than the first start did.
    """
    return noted if shown - noted >= STANDS else counted


def run_of(file: str) -> str:
    """Return the run whose tape has this name; "" if no tape has."""
    run = file.removesuffix(".tape")
    return run if run != file and run.startswith("r-") and run.isascii() else ""


def expired_tapes(tapes: Iterable[Kept], keep: Keep) -> list[tuple[str, str]]:
    """Return the runs whose tapes are to be erased, each with the reason, the oldest first."""
    gone: list[tuple[str, str]] = []
    left: list[Kept] = []
    for tape in sorted(tapes, key=lambda one: (-one.age, one.run)):
        days = keep.days if tape.is_done else keep.failed_days
        if tape.age > days * DAY:
            gone.append((tape.run, f"older than {days} days"))
        else:
            left.append(tape)
    room = sum(tape.size for tape in left) - keep.mib * 1024 * 1024
    for tape in left:
        if room <= 0:
            break
        room -= tape.size
        gone.append((tape.run, f"the oldest of more than {keep.mib} MiB"))
    return gone
