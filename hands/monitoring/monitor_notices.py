"""Decides which notices a person gets: grouping by target, repeats, silences, flapping (pure).

Uses the terms of Prometheus Alertmanager (group_interval, repeat_interval, silences), with one difference: the first
notice of a target is never delayed. Works on levels, not on edges: it compares what fires with what was notified. So a
check that fired and recovered between two notices is not notified (it is in the history), and a restart alone makes no
notice.

- New checks of a target whose last notice is less than `group` ago wait until that has passed, unless one is critical.
- Checks that go on firing are notified again every `repeat`.
- A flapping check is notified once, as flapping; its changes are not, until it is steady again.
- A silenced check is not notified. If it still fires when the silence ends, it is.
- `recovered` lists checks that are good again. It waits like a new check, unless nothing of the target fires any more.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from monitor_rules import LEVELS, Level

FLAPS: Final = " (flapping)"


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check that fires or flaps. check: its name within the target. text: what is wrong, for a person. since: epoch ms."""

    check: str
    level: Level
    text: str
    since: int
    flapping: bool = False
    firing: bool = True


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was notified of a target. told: checks that a person believes to fire. sent: when the last notice went out."""

    told: tuple[str, ...] = ()
    sent: int = 0


class Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event to publish. fresh: new checks. still: checks that go on. over: recovered checks. repeat: nothing is new."""

    event: Literal["alert", "recovered"]
    target: str
    level: Level
    fresh: tuple[Finding, ...]
    still: tuple[Finding, ...]
    over: tuple[str, ...] = ()
    repeat: bool = False


class Silence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No notices until a time. target "all" is every target, check "" every check. Times in epoch milliseconds.

    labels: those of the call that made it, and so of its texts.
    """

    target: str
    check: str
    until: int
    made: int
    reason: str = ""
    labels: tuple[str, ...] = ()


def in_force(silences: Sequence[Silence], now: int) -> list[Silence]:
    """The silences that have not ended."""
    return [one for one in silences if one.until > now]


def is_silenced(silences: Sequence[Silence], target: str, check: str, now: int) -> bool:
    """Whether a silence in force covers the check."""
    return any(
        one.until > now and one.target in ("all", target) and one.check in ("", check, check.removesuffix(FLAPS))
        for one in silences
    )


def worst(findings: Sequence[Finding]) -> Level:
    """The gravest level among findings; a notice when there are none."""
    return LEVELS[max((LEVELS.index(each.level) for each in findings), default=0)]


def decide_notices(
    target: str,
    group: Group,
    findings: Sequence[Finding],
    silences: Sequence[Silence],
    *,
    now: int,
    group_ms: int,
    repeat_ms: int,
) -> tuple[Group, tuple[Notice, ...]]:
    """(the group's new state, the notices to publish now). findings: every check that fires or flaps now."""
    open_now = _openings(group, findings)
    loud = {name: one for name, one in open_now.items() if not is_silenced(silences, target, name, now)}
    fresh = tuple(one for name, one in loud.items() if name not in group.told)
    over = tuple(name for name in group.told if name not in open_now)
    told_over = tuple(name for name in over if not is_silenced(silences, target, name, now))
    still = tuple(one for name, one in loud.items() if name in group.told)

    sent = min(group.sent, now)  # it lies ahead if the clock was set back since
    waits = sent > 0 and now - sent < group_ms
    urgent = any(one.level == "critical" for one in fresh)
    notices: list[Notice] = []
    told = set(group.told)
    if told_over and (not waits or not loud):
        notices.append(
            Notice(event="recovered", target=target, level=worst(still), fresh=(), still=still, over=told_over)
        )
        told -= set(over)
    elif over and not told_over:
        told -= set(over)
    if fresh and (not waits or urgent):
        notices.append(Notice(event="alert", target=target, level=worst(fresh), fresh=fresh, still=still))
        told |= {name for name, one in loud.items() if one in fresh}
    elif still and not fresh and now - sent >= repeat_ms:
        notices.append(Notice(event="alert", target=target, level=worst(still), fresh=(), still=still, repeat=True))
    spoke = any(one.event == "alert" for one in notices)
    ordered = tuple(sorted(told))
    return Group(told=ordered, sent=now if spoke else sent if ordered or waits else 0), tuple(notices)


def _openings(group: Group, findings: Sequence[Finding]) -> dict[str, Finding]:
    """Findings by the name under which they are notified; a flapping check keeps its own entry if it was notified before."""
    found: dict[str, Finding] = {}
    for one in findings:
        if one.flapping:
            found[one.check + FLAPS] = one
        if (one.firing and not one.flapping) or (one.flapping and one.check in group.told):
            found[one.check] = one
    return found
