"""Decides what of a schedule happens now (pure): which firings are due, which were missed, which of those are made up.

A firing is late if its time was more than LATE_MS ago: the kernel was down, the Hand was held, or the clock jumped. Late
ones are made up as the schedule's `missed` says; the others fire. If the clock is set back by up to BACK_MS, we wait for it
to catch up, so that nothing fires twice; if by more, it was wrong before, and its new time counts.
"""

from typing import Final

from msgspec import Struct

from manifests.firings import Plan

LATE_MS: Final = 10_000
BACK_MS: Final = 86_400_000
AHEAD_MS: Final = BACK_MS + 7_200_000
"""No firing is due later than this: quiet hours end within a day, which clock changes lengthen by two hours at most."""

ALL_MOST: Final = 1_000
"""At most so many missed firings of one schedule, the latest, are made up at once; missed ones are counted up to this."""


class Due(Struct, frozen=True, kw_only=True):
    """A firing that is due. made_up: it is late, and waits for the run before it whatever `overlap` says."""

    planned: int
    made_up: bool = False


class Turn(Struct, frozen=True, kw_only=True):
    """A decision. missed: number of firings given up, from first to last. cursor: everything until then is handled."""

    fire: tuple[Due, ...] = ()
    missed: int = 0
    first: int = 0
    last: int = 0
    cursor: int


def turn(plan: Plan, cursor: int, now: int) -> Turn:
    """Decides what is due of a schedule that was handled until `cursor`."""
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
    """The missed firings that are made up. For "latest", none if another firing is on time."""
    match plan.schedule.missed:
        case "all":
            return missed
        case "latest" if not has_others:
            return missed[-1:]
    return ()


def wake_at(plan: Plan, cursor: int) -> int | None:
    """When a schedule is due next; None if only events start it, or it is over."""
    planned = plan.next(cursor)
    return None if planned is None else plan.due(planned)


def set_back(cursor: int, now: int) -> int:
    """The cursor, moved back to `now` if the clock was set far back."""
    return now if cursor > now + BACK_MS else cursor


def must_wait(due: int, now: int) -> bool:
    """Whether a firing is not due yet. One due later than AHEAD_MS was planned by a wrong clock, and does not wait."""
    return now < due <= now + AHEAD_MS
