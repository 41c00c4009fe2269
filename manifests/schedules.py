"""What the kernel decides of scheduled runs (pure): who is scheduled, and whether a firing may begin a run.

The kernel knows no calendar: when a schedule is due is worked out by the Hand `scheduling`, with firings.py. What the kernel
holds is what that Hand cannot be trusted with: a run begins only for a Hand whose sealed manifest has a [schedule], with the
inputs that stand there, in nobody's name but its own, and once for each key.
"""

from collections.abc import Collection
from itertools import takewhile
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from manifests.grants import GrantSet
from manifests.installed import Installed
from manifests.policy import Link
from manifests.schema import Schedule
from manifests.state import State, authority
from manifests.triggers import filled, fits
from manifests.upgrades import key_of
from wire import headers
from wire.entries import time_micros
from wire.errors import CodecError, Refusal

SCHEDULE: Final = Link(hand="", name="schedule", grants=None)
"""In whose name a scheduled run works: the operator installed the Hand with its schedule, so nobody stands above it."""

RESCHEDULING: Final = frozenset({"hand.install", "hand.remove", "hand.state", "pause", "resume", "freeze", "thaw"})
"""Kinds of entries after which whoever follows schedules looks again."""

PAGE: Final = 32
"""Hands that are told of at once: their filters, and the keys of what began, fit into one body."""

KEY_MOST: Final = 64

DEPTH_MOST: Final = 8
"""Scheduled runs that events of runs begin, one after the other: a loop of schedules goes round no further."""


class Firing(Struct, frozen=True, kw_only=True):
    """A run that is to begin, or one that did: `before` is that. replaced: runs that end when it has begun."""

    inputs: object = None
    before: str = ""
    replaced: tuple[str, ...] = ()


class Fired(Struct, frozen=True, kw_only=True):
    """What is asked for. due: when it was planned, RFC 3339; event: what started it, "" by the clock; body: of the event.

    depth: how many scheduled runs lie behind it, this one too, each begun by an event of the one before; 0 by the clock.
    """

    key: str
    due: str
    event: str = ""
    body: object = None
    depth: int = 0


def decide(state: State, hand: Installed, asked: Fired, working: Collection[str]) -> Firing:
    """Whether a firing begins a run. working: the runs whose work has not ended. Raises Refusal.

    The same key of the same Hand is the same run, also after restarts: what began is in the log.
    """
    schedule = hand.package.manifest.schedule
    if schedule is None or not hand.is_task:
        raise Refusal("schedule", f"{hand.name} has no [schedule]: `maniple start {hand.name}` starts it")
    begun = state.fired.get(hand.id, {})
    if asked.key in begun:
        older = takewhile(lambda run: run != begun[asked.key], begun.values() if schedule.overlap == "replace" else ())
        return Firing(before=begun[asked.key], replaced=tuple(run for run in older if run in working))
    if asked.event:
        _check_event(schedule, authority(state, hand), hand.name, asked)
    still = tuple(run for run in begun.values() if run in working)
    if still and schedule.overlap != "replace":
        raise Refusal("overlap", f"{hand.name} still works, as {still[-1]}")
    try:
        due = time_micros(asked.due)
    except CodecError as error:
        raise Refusal("schedule", str(error)) from None
    return Firing(inputs=filled(schedule.inputs, due, asked.body), replaced=still)


def _check_event(schedule: Schedule, grants: GrantSet, name: str, asked: Fired) -> None:
    if schedule.on != asked.event or not fits(schedule.where, asked.body):
        raise Refusal("schedule", f"{name} is not started by this event")
    if asked.depth > DEPTH_MOST:
        raise Refusal("loop", loop_told(asked.event))
    if not grants.allows("kernel.subscribe", asked.event):
        grant = f'"kernel.subscribe" = ["{asked.event}"]'
        raise Refusal("capability", f"{name} may not hear {asked.event}, so it does not start it", grant)


def loop_told(event: str) -> str:
    """Why an event begins nothing any more."""
    return f"a loop: {event} came of {DEPTH_MOST} runs, each begun by an event of the one before"


def rows(state: State, working: Collection[str], *, after: str = "", only: str = "") -> dict[str, object]:
    """Every scheduled Hand, a page of them by name; only: this one, if it is scheduled. held: why nothing starts it now."""
    scheduled = (hand for _, hand in sorted(state.hands.items()) if hand.package.manifest.schedule is not None)
    wanted = [hand for hand in scheduled if hand.name > after and only in ("", hand.name)]
    return {"hands": [_row(state, hand, working) for hand in wanted[:PAGE]], "more": len(wanted) > PAGE}


def _row(state: State, hand: Installed, working: Collection[str]) -> dict[str, object]:
    """What whoever keeps the time needs to know of a scheduled Hand; its inputs are none of that."""
    schedule = hand.package.manifest.schedule or Schedule()
    held = "frozen" if state.frozen else "paused" if hand.id in state.paused else ""
    return {
        "name": hand.name,
        "hand": hand.id,
        "since": hand.since,
        "schedule": replace(schedule, inputs={}),
        "held": held or ("quarantined" if hand.id in state.quarantined else ""),
        "running": {key: run for key, run in state.fired.get(hand.id, {}).items() if run in working},
    }


def ended(state: State, hand: Installed, run: str, end: headers.End) -> dict[str, object] | None:
    """What those who follow schedules are told when a run's work has its end; None for one that no firing began."""
    key = key_of(state, hand.id, run)
    why = end.code if isinstance(end, headers.Refused) else ""
    outcome = type(end).__name__.lower()
    return {"hand": hand.id, "name": hand.name, "key": key, "run": run, "outcome": outcome, "why": why} if key else None
