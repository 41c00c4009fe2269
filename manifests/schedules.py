"""The kernel's part of schedules (pure): which Hands are scheduled, and whether a firing may begin a run.

The kernel knows no calendar: the Hand `scheduling` computes when a schedule is due, with firings.py. The kernel enforces
what that Hand is not trusted with: a run begins only for a Hand whose sealed manifest has a [schedule], with the inputs
declared there, in that Hand's own name, and once per key.
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
from manifests.triggers import fill, matches
from manifests.upgrades import firing_key
from wire import headers
from wire.entries import time_micros
from wire.errors import CodecError, Refusal

SCHEDULE: Final = Link(hand="", name="schedule", grants=None)
"""The caller of a scheduled run's work: the operator installed the Hand with its schedule, so it needs no other grants."""

RESCHEDULING: Final = frozenset({"hand.install", "hand.remove", "hand.state", "pause", "resume", "freeze", "thaw"})
"""Kinds of entries after which subscribers of schedules read them again."""

PAGE: Final = 32
"""The most Hands in one reply: their filters, and the keys of runs that began, fit into one body."""

KEY_MOST: Final = 64

DEPTH_MOST: Final = 8
"""The most scheduled runs in a row of which each is begun by an event of the one before: it stops loops of schedules."""


class Firing(Struct, frozen=True, kw_only=True):
    """The decision on a firing. inputs: of the run to begin; before: the run that this key began already, else "".

    replaced: runs to end once it has begun.
    """

    inputs: object = None
    before: str = ""
    replaced: tuple[str, ...] = ()


class Fired(Struct, frozen=True, kw_only=True):
    """A request to begin a scheduled run. due: the planned time, RFC 3339; event: its cause, "" for the clock; body: of the
    event.

    depth: the number of scheduled runs in a row, with this one, each begun by an event of the one before; 0 for the clock.
    """

    key: str
    due: str
    event: str = ""
    body: object = None
    depth: int = 0


def decide(state: State, hand: Installed, asked: Fired, working: Collection[str]) -> Firing:
    """Decide whether a firing begins a run. working: the runs whose work has not ended. Raises Refusal.

    The same key of the same Hand is the same run, even after restarts of the kernel, since beginnings are in the log.
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
    return Firing(inputs=fill(schedule.inputs, due, asked.body), replaced=still)


def _check_event(schedule: Schedule, grants: GrantSet, name: str, asked: Fired) -> None:
    if schedule.on != asked.event or not matches(schedule.where, asked.body):
        raise Refusal("schedule", f"{name} is not started by this event")
    if asked.depth > DEPTH_MOST:
        raise Refusal("loop", loop_text(asked.event))
    if not grants.allows("kernel.subscribe", asked.event):
        grant = f'"kernel.subscribe" = ["{asked.event}"]'
        raise Refusal("capability", f"{name} may not hear {asked.event}, so it does not start it", grant)


def loop_text(event: str) -> str:
    """Return why an event begins no further run."""
    return f"a loop: {event} came of {DEPTH_MOST} runs, each begun by an event of the one before"


def rows(state: State, working: Collection[str], *, after: str = "", only: str = "") -> dict[str, object]:
    """Return a page of the scheduled Hands, by name. after: the last name of the page before; only: just this Hand.

    held: why nothing starts the Hand now.
    """
    scheduled = (hand for _, hand in sorted(state.hands.items()) if hand.package.manifest.schedule is not None)
    wanted = [hand for hand in scheduled if hand.name > after and only in ("", hand.name)]
    return {"hands": [_row(state, hand, working) for hand in wanted[:PAGE]], "more": len(wanted) > PAGE}


def _row(state: State, hand: Installed, working: Collection[str]) -> dict[str, object]:
    """Return what the Hand `scheduling` needs of a scheduled Hand; that excludes its inputs."""
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


def end_event(state: State, hand: Installed, run: str, end: headers.End) -> dict[str, object] | None:
    """Return the event body for the end of a scheduled run's work; None for a run that no firing began."""
    key = firing_key(state, hand.id, run)
    why = end.code if isinstance(end, headers.Refused) else ""
    outcome = type(end).__name__.lower()
    return {"hand": hand.id, "name": hand.name, "key": key, "run": run, "outcome": outcome, "why": why} if key else None
