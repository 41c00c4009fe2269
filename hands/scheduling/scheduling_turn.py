"""What of a schedule is to happen now (pure): which firings are due, which were missed, and what is made up for those.

A firing is late when its moment was more than LATE_MS ago: nobody was there, the Hand was held, or the clock jumped. Late
ones are made up as the schedule says, `missed`; the others fire. A clock that is set back by up to BACK_MS is waited for, so
that nothing is done twice; one that is set back by more was wrong before, and what it then says counts.
"""

from typing import Final

from msgspec import Struct

from manifests.firings import Plan

LATE_MS: Final = 10_000
BACK_MS: Final = 86_400_000
AHEAD_MS: Final = BACK_MS + 7_200_000
"""A firing that is kept waits no longer: quiet hours end within a day, which the clocks make two hours longer at most."""

ALL_MOST: Final = 1_000
"""Missed firings of one schedule that are made up at once, the latest of them; also as far as missed ones are counted."""


class Due(Struct, frozen=True, kw_only=True):
    """One firing that is due. made_up: it is late, and waits for the run before it whatever `overlap` says."""

    planned: int
    made_up: bool = False


class Turn(Struct, frozen=True, kw_only=True):
    """What is to happen. missed: how many firings are given up, between first and last. cursor: all until then is done."""

    fire: tuple[Due, ...] = ()
    missed: int = 0
    first: int = 0
    last: int = 0
    cursor: int


def turn(plan: Plan, cursor: int, now: int) -> Turn:
    """What is due of a schedule of which everything until `cursor` is done."""
    late_until = now - LATE_MS - plan.schedule.jitter_ms
    missed = plan.last(cursor, late_until, _made_up_most(plan)) if late_until > cursor else ()
    count = plan.count(cursor, late_until, ALL_MOST) if late_until > cursor and missed else 0
    first = plan.next(cursor) if missed else None
    cursor = max(cursor, late_until)
    on_time: list[int] = []
    for planned in plan.all(cursor, now):
        if plan.due(planned) > now:
            break
        cursor = planned
        if plan.due(planned) < now - LATE_MS:
            missed, count, first = (*missed, planned)[-_made_up_most(plan) :], count + 1, first or planned
        else:
            on_time.append(planned)
    made_up = _made_up(plan, missed, has_others=bool(on_time))
    return Turn(
        fire=(*(Due(planned=one, made_up=True) for one in made_up), *(Due(planned=one) for one in on_time)),
        missed=max(0, count - len(made_up)),
        first=first or 0,
        last=missed[-1] if missed else 0,
        cursor=cursor,
    )


def _made_up_most(plan: Plan) -> int:
    return ALL_MOST if plan.schedule.missed == "all" else 1


def _made_up(plan: Plan, missed: tuple[int, ...], *, has_others: bool) -> tuple[int, ...]:
    """The missed firings that happen late; one that is on time stands for the latest."""
    match plan.schedule.missed:
        case "all":
            return missed
        case "latest" if not has_others:
            return missed[-1:]
    return ()


def wake_at(plan: Plan, cursor: int) -> int | None:
    """When to look at a schedule again; None for one by events, and one that is over."""
    planned = plan.next(cursor)
    return None if planned is None else plan.due(planned)


def set_back(cursor: int, now: int) -> int:
    """The cursor by a clock that shows `now`."""
    return now if cursor > now + BACK_MS else cursor


def must_wait(due: int, now: int) -> bool:
    """Whether a kept firing is not due yet; one that is due later than any can be was planned by a clock that was wrong."""
    return now < due <= now + AHEAD_MS
