"""How long the tapes of runs that have ended are kept (pure): by age, by outcome and by the room of all of them.

A run that failed is kept longer, since it is the one that people come back to. Beyond the room for all, the oldest go first.
What is erased is what a run was told, and the key of its digests; the log, and every proof of it, stays as it is.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

DAY: Final = 86_400.0
LEAP, STANDS = 60.0, 3600.0
"""Seconds that a clock leaps, where it goes ahead by more than has passed; and until one that did is believed."""

Days = Annotated[int, Meta(ge=0, le=36_500)]


class Keep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[journal] of home.toml. days: of a run that ended in `done`; failed_days: of any other; mib: room for all, in MiB."""

    days: Days = 30
    failed_days: Days = 90
    mib: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1024


class Kept(Struct, frozen=True, kw_only=True):
    """A tape whose run has ended. age: seconds since it was written last; size: bytes. is_done: its work ended in `done`."""

    run: str
    age: float
    size: int
    is_done: bool


class Believed:
    """The time by which what is kept is old: a clock that leaps ahead is believed when it has stood so for STANDS.

    It may be wrong, and be put right in a minute, as that of a machine which has just started often is; and what is erased
    by it is gone. Held is how far it is ahead of a clock that never leaps: by what is believed, and by what it shows.
    """

    def __init__(self, seen: float, at: float) -> None:
        """seen: what the clock is known to have shown last, seconds since 1970. at: seconds of one that never leaps."""
        self._believed = self._shown = seen - at
        self._since = at

    def now(self, shown: float, at: float) -> float:
        """What counts as the time when the one clock shows `shown`, and the other `at`."""
        ahead = shown - at
        if abs(ahead - self._shown) > LEAP:
            self._shown, self._since = ahead, at
        if ahead <= self._believed + LEAP or at - self._since >= STANDS:
            self._believed = ahead
        return at + self._believed


def left(until: float, shown: float, counts: float) -> float:
    """Seconds to wait until it may be asked again whether a time has come; 0 when it has.

    shown: what the clock shows; counts: what counts as the time, see Believed. Seconds since 1970.
    """
    return until - shown if shown < until else max(0.0, min(until - counts, STANDS))


def seen_last(counted: float, noted: float, shown: float) -> float:
    """What the clock is known to have shown last, of a process before this one. counted: what counted as the time when it was
    noted last; noted, shown: what the clock showed then, and shows now. Seconds since 1970.

    So another start soon after a leap believes that no more than the first did.
    """
    return noted if shown - noted >= STANDS else counted


def over(tapes: Iterable[Kept], keep: Keep) -> list[tuple[str, str]]:
    """The runs whose tapes go, each with why, the oldest first."""
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
