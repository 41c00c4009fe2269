"""Which notices a person gets: grouping by target, repeats, silences, flapping (pure).

Follows the terms of Prometheus Alertmanager (group_interval, repeat_interval, silences), with one difference: the first
notice of a target is never delayed. Works on levels, not on edges: it compares what fires with what was told, so what
came and went between two notices is not told (it stands in the history all the same), and nothing is told twice after
a restart.

- New checks of a target that was told of less than `group` ago wait until that is over, unless one is critical.
- What goes on is told again every `repeat`.
- A flapping check is told of once, as flapping; its single changes are not, until it is steady again.
- A silenced check is not told. If it still fires when the silence ends, it is.
- `recovered` says which checks are good again. It waits like a new check does, unless nothing of the target fires any
  more.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from monitor_rules import LEVELS, Level

FLAPS: Final = " (flapping)"


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check that fires or flaps. check: its name within the target; text: what is wrong, for a person; since:
    epoch ms.
    """

    check: str
    level: Level
    text: str
    since: int
    flapping: bool = False
    firing: bool = True


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was told of one target: the checks still open in a person's mind, and when the last notice went out."""

    told: tuple[str, ...] = ()
    sent: int = 0


class Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event to publish. fresh: what is new (or, of `recovered`, over); still: what goes on; repeat: nothing is
    new.
    """

    event: Literal["alert", "recovered"]
    target: str
    level: Level
    fresh: tuple[Finding, ...]
    still: tuple[Finding, ...]
    over: tuple[str, ...] = ()
    repeat: bool = False


class Silence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say nothing until then. target "all" is every target, check "" every check. Times in epoch milliseconds.

    labels: of whoever asked for it, and so of its words.
    """

    target: str
    check: str
    until: int
    made: int
    reason: str = ""
    labels: tuple[str, ...] = ()


def in_force(silences: Sequence[Silence], now: int) -> list[Silence]:
    """The silences that are not over."""
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


def ring(
    target: str,
    group: Group,
    findings: Sequence[Finding],
    silences: Sequence[Silence],
    *,
    now: int,
    group_ms: int,
    repeat_ms: int,
) -> tuple[Group, tuple[Notice, ...]]:
    """What to tell of a target now. findings: every check that fires or flaps at this moment."""
    open_now = _openings(group, findings)
    loud = {name: one for name, one in open_now.items() if not is_silenced(silences, target, name, now)}
    fresh = tuple(one for name, one in loud.items() if name not in group.told)
    over = tuple(name for name in group.told if name not in open_now)
    told_over = tuple(name for name in over if not is_silenced(silences, target, name, now))
    still = tuple(one for name, one in loud.items() if name in group.told)

    sent = min(group.sent, now)  # it lies ahead when the clock was set back since
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
    """What counts as open, by the name under which it is told; a flapping check stays as it was told, whatever it
    does.
    """
    found: dict[str, Finding] = {}
    for one in findings:
        if one.flapping:
            found[one.check + FLAPS] = one
        if (one.firing and not one.flapping) or (one.flapping and one.check in group.told):
            found[one.check] = one
    return found
