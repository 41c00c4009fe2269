"""The life cycle of one check's alarm, as a table of (state, event), and flap detection (pure).

    ok        nothing is wrong              pending   wrong, but not yet for as long as the rule says
    firing    wrong for long enough         clearing  good again, but not yet for long enough

Each value is an event: bad, between (neither limit nor clear value reached), good, unknown (no value), and long_bad or
long_good once that has lasted. A pending alarm needs every value bad; a clearing one every value good.

Flapping follows Nagios (the manual's "Detection and Handling of State Flapping"): of the last 21 states there are 20
possible changes; each that happened counts, the oldest 0.8, the newest 1.2, those between in even steps; the sum is a
percentage of 20. It begins at 30 % or more and ends below 15 %.
"""

from typing import Final, Literal

import msgspec

from monitor_rules import Signal

State = Literal["ok", "pending", "firing", "clearing"]
Event = Literal["bad", "long_bad", "between", "good", "long_good", "unknown"]

TABLE: Final[dict[tuple[State, Event], State]] = {
    ("ok", "bad"): "pending",
    ("ok", "long_bad"): "firing",
    ("ok", "between"): "ok",
    ("ok", "good"): "ok",
    ("ok", "long_good"): "ok",
    ("ok", "unknown"): "ok",
    ("pending", "bad"): "pending",
    ("pending", "long_bad"): "firing",
    ("pending", "between"): "ok",
    ("pending", "good"): "ok",
    ("pending", "long_good"): "ok",
    ("pending", "unknown"): "ok",
    ("firing", "bad"): "firing",
    ("firing", "long_bad"): "firing",
    ("firing", "between"): "firing",
    ("firing", "good"): "clearing",
    ("firing", "long_good"): "ok",
    ("firing", "unknown"): "firing",
    ("clearing", "bad"): "firing",
    ("clearing", "long_bad"): "firing",
    ("clearing", "between"): "firing",
    ("clearing", "good"): "clearing",
    ("clearing", "long_good"): "ok",
    ("clearing", "unknown"): "clearing",
}

FIRING: Final[frozenset[State]] = frozenset(("firing", "clearing"))
FLAP_STATES: Final = 21
FLAP_BEGINS: Final = 30.0
FLAP_ENDS: Final = 15.0


class Alarm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check's alarm. Times in epoch milliseconds; since: when it began or ceased to fire; streak: when the present
    run of bad (or good) values began; seen: the last value's time; recent: whether it fired, oldest first."""

    state: State = "ok"
    since: int = 0
    streak: int = 0
    seen: int = 0
    last: Signal = "unknown"
    recent: tuple[bool, ...] = ()
    flapping: bool = False


def step(alarm: Alarm, signal: Signal, *, now: int, held_ms: int, clear_ms: int, gap_ms: int) -> Alarm:
    """The alarm after one more value, of the signal given.

    held_ms: how long it must be bad; clear_ms: how long it must be good again; gap_ms: values further apart than this
    do not belong to one streak (the Hand was down), so an old streak never fires by itself. One that began later than
    now is of a clock that was ahead, and begins now.
    """
    new_streak = signal != alarm.last or now - alarm.seen > gap_ms
    streak = now if new_streak else min(alarm.streak, now)
    state = TABLE[alarm.state, _event(signal, now - streak, held_ms, clear_ms)]
    changed = (state in FIRING) != (alarm.state in FIRING)
    recent = alarm.recent if signal == "unknown" else (*alarm.recent, state in FIRING)[-FLAP_STATES:]
    share = flap_percent(recent)
    return Alarm(
        state=state,
        since=now if changed or not alarm.since else alarm.since,
        streak=streak,
        seen=now,
        last=signal,
        recent=recent,
        flapping=share >= (FLAP_ENDS if alarm.flapping else FLAP_BEGINS),
    )


def is_firing(alarm: Alarm) -> bool:
    """Whether something is wrong as far as a person is told; one that is clearing still fires."""
    return alarm.state in FIRING


def flap_percent(recent: tuple[bool, ...]) -> float:
    """How often a check changed, in percent: 0 never, 100 at each of the last 21 values."""
    possible = FLAP_STATES - 1
    start = FLAP_STATES - len(recent)
    total = 0.0
    for place in range(1, len(recent)):
        if recent[place] != recent[place - 1]:
            total += 0.8 + 0.4 * (start + place - 1) / (possible - 1)
    return 100.0 * total / possible


def _event(signal: Signal, lasted: int, held_ms: int, clear_ms: int) -> Event:
    match signal:
        case "bad":
            return "long_bad" if lasted >= held_ms else "bad"
        case "good":
            return "long_good" if lasted >= clear_ms else "good"
        case _:
            return signal
