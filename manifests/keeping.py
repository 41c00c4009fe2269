"""How long the tapes of runs that have ended are kept (pure): by age, by outcome and by the room of all of them.

A run that failed is kept longer, since it is the one that people come back to. Beyond the room for all, the oldest go first.
What is erased is what a run was told, and the key of its digests; the log, and every proof of it, stays as it is.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

DAY: Final = 86_400.0
EVERY: Final = 3600.0
"""Seconds between looks at what is old."""

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
    """The time by which tapes are old, from look to look: a clock that leaps ahead is believed at the second look.

    It may be wrong, and be put right in a minute, as that of a machine which has just started often is; and what is erased
    by it is gone.
    """

    def __init__(self, seen: float) -> None:
        """seen: what the clock is known to have shown last, seconds since 1970."""
        self._seen, self._at = seen, math.inf

    def now(self, shown: float, at: float) -> float:
        """What the clock shows, or showed at the last look and as much as has really passed, whichever is less.

        at: seconds of a clock that never leaps.
        """
        believed = min(shown, self._seen + max(0.0, at - self._at))
        self._seen, self._at = shown, at
        return believed


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
