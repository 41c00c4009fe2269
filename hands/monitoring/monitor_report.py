"""Describes changes, states and moved metrics for people, and downsamples series (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from manifests import moments
from manifests.errors import ValueInvalid
from monitor_baseline import Hour
from monitor_metrics import row
from monitor_notices import Finding, Notice, worst
from monitor_rules import Level
from monitor_statistics import SENSITIVITY

ChangeKind = Literal["fired", "over", "spike", "changed", "flapping", "steady", "withdrawn", "note"]

STATES: Final = ("not checked yet", "ok", "notice", "warning", "critical", "cannot be checked")
YEAR_1: Final = -62_135_596_800_000
YEAR_9999: Final = 253_402_300_800_000
"""The range of epoch milliseconds that `moment` can write."""

SAMPLE_MOST: Final = 2_000

Sample = tuple[int, int, float, float, float]
"""A row for downsampling: (time in epoch ms, count, least, mean, most)."""


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the history's changes. at: epoch ms. target: "" for what concerns the Hand itself."""

    at: int
    target: str
    subject: str = ""
    kind: ChangeKind
    level: Level = "notice"
    text: str


class TimeInvalid(ValueError):
    """A text is not a time, or one that cannot be shown."""


def moment(at: int) -> str:
    """Epoch milliseconds as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_moment(text: str, now: int) -> int:
    """Epoch milliseconds of an RFC 3339 text, or of a duration before now ("2h"). Raises TimeInvalid."""
    try:
        found = moments.parse_moment(text, now * 1000, ahead=False)
    except ValueInvalid as error:
        raise TimeInvalid(f"{error.why}: {error.instead}") from None
    if found is None:
        raise TimeInvalid(f'"{text}" is not a time: write "2026-12-01T09:00:00Z", or "2h" for two hours ago')
    at = found // 1000
    if not YEAR_1 <= at < YEAR_9999:
        raise TimeInvalid(f'"{text}" is not a time that can be shown: its year in UTC is before 1 or after 9999')
    return at


def amount(value: float, metric: str) -> str:
    """A value with its unit, for a person."""
    unit = row(metric).unit
    match unit:
        case "percent":
            return f"{value:.1f} %"
        case "bytes" | "bytes_per_second":
            per = "/s" if unit == "bytes_per_second" else ""
            for name, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
                if abs(value) >= size:
                    return f"{value / size:.1f} {name}{per}"
            return f"{value:.0f} B{per}"
        case "seconds":
            return f"{value:.0f} s"
        case "ms":
            return f"{value:.0f} ms"
        case "celsius":
            return f"{value:.1f} °C"
        case _:
            return f"{value:g}"


def state_of(findings: Sequence[Finding], *, looked: bool, checked: bool) -> str:
    """A target's state: the worst level that fires, "ok", or that it could not be looked at."""
    if not looked:
        return "not checked yet"
    if not checked:
        return "cannot be checked"
    firing = [one for one in findings if one.firing]
    return worst(firing) if firing else "ok"


def worst_state(states: Iterable[str]) -> str:
    """The gravest of several states."""
    return max(states, key=STATES.index, default="ok")


def moved(metric: str, then: float, now: float) -> bool:
    """Whether a metric changed by as much as an anomaly must at least, whatever its usual spread."""
    about = row(metric)
    return about.judged and abs(now - then) > SENSITIVITY * max(about.floor, about.floor_share * abs(then), 1e-9)


def describe_change(change: Change) -> dict[str, object]:
    """A change as a reply shows it."""
    return {
        "time": moment(change.at),
        "target": change.target,
        "kind": change.kind,
        "level": change.level,
        "text": change.text,
    }


def describe_finding(target: str, finding: Finding, silenced: bool) -> dict[str, object]:
    """A firing check as a reply shows it."""
    return {
        "target": target,
        "check": finding.check,
        "level": finding.level,
        "text": finding.text,
        "since": moment(finding.since),
        "flapping": finding.flapping,
        "silenced": silenced,
    }


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event to publish. labels: those that its texts may need besides the run's own."""

    name: Literal["alert", "recovered"]
    body: dict[str, object]
    labels: tuple[str, ...] = ()


def event_of(notice: Notice, subject: str, now: int) -> Event:
    """The `alert` or `recovered` event of a notice."""
    fresh = [describe_finding(notice.target, one, False) for one in notice.fresh]
    still = [describe_finding(notice.target, one, False) for one in notice.still]
    body: dict[str, object] = {
        "target": notice.target,
        "subject": subject,
        "level": notice.level,
        "time": moment(now),
        "repeat": notice.repeat,
        "new": fresh,
        "still": still,
        "recovered": list(notice.over),
        "text": notice_text(notice),
    }
    return Event(name=notice.event, body=body)


def notice_text(notice: Notice) -> str:
    """The notice in one line."""
    parts: list[str] = []
    if notice.over:
        parts.append(f"good again: {', '.join(notice.over)}")
    if notice.fresh:
        parts.append("; ".join(_line(one) for one in notice.fresh))
    if notice.still:
        parts.append("still: " + "; ".join(_line(one) for one in notice.still))
    return f"{notice.target}: " + " | ".join(parts)


def _line(finding: Finding) -> str:
    return f"{finding.level}, flapping: {finding.text}" if finding.flapping else f"{finding.level}: {finding.text}"


def report_text(
    targets: Sequence[Mapping[str, object]], changes: Sequence[Change], shifts: Sequence[Mapping[str, object]],
    problems: Sequence[str], since: int, *, more: bool,
) -> str:  # fmt: skip
    """The report for a person, in plain lines. more: there were more changes than these."""
    lines = [f"{one['target']}: {one['state']}" + (f" ({one['why']})" if one["why"] else "") for one in targets]
    count = f"{'more than ' if more else ''}{len(changes)} change{'' if len(changes) == 1 else 's'}"
    lines.append(f"Since {moment(since)}: {count if changes else 'nothing changed'}.")
    lines += [f"  {moment(one.at)}  {one.target or 'monitoring'}: {one.text}" for one in changes[:50]]
    if len(changes) > 50:
        lines.append("  and more" if more else f"  and {len(changes) - 50} more")
    lines += [f"  {one['target']}: {one['text']}" for one in shifts]
    lines += [f"Problem: {one}" for one in problems]
    return "\n".join(lines)


def of_values(values: Iterable[tuple[int, float]]) -> list[Sample]:
    """Single values as rows for downsampling."""
    return [(at, 1, value, value, value) for at, value in values]


def of_hours(hours: Iterable[Hour], hour_ms: int) -> list[Sample]:
    """Hourly summaries as rows for downsampling."""
    return [(hour.number * hour_ms, hour.count, hour.least, hour.mean, hour.most) for hour in hours]


def downsample(samples: Sequence[Sample], since: int, until: int, points: int) -> tuple[int, list[Sample]]:
    """(step in ms, rows): at most `points` rows of equal duration, each with the least, mean and most of its values.

    No spike is hidden: a single high value is the `most` of its row.
    """
    step = max(1, -(-(until - since) // max(1, points)))
    buckets: dict[int, list[Sample]] = {}
    for sample in samples:
        buckets.setdefault((sample[0] - since) // step, []).append(sample)
    return step, [_merged(since + place * step, rows) for place, rows in sorted(buckets.items())]


def _merged(at: int, rows: Sequence[Sample]) -> Sample:
    count = sum(row_[1] for row_ in rows)
    mean = sum(row_[1] * row_[3] for row_ in rows) / count
    return at, count, min(row_[2] for row_ in rows), mean, max(row_[4] for row_ in rows)
