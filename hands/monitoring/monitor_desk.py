"""Makes the replies of report, history and alerts (decides, from the watcher and its history).

Separate from main.py, so that every reply is tested without a bus. Raises TimeInvalid, and UnknownTarget for a name that
no setting has.
"""

from contextlib import suppress
from typing import Final

import apsw

from manifests.suggestions import suggestion
from monitor_baseline import DAY_MS, HOUR_MS, hour_number
from monitor_history import History, SeriesKey
from monitor_metrics import row
from monitor_notices import is_silenced
from monitor_report import (
    SAMPLE_MOST,
    amount,
    describe_change,
    describe_finding,
    downsample,
    moment,
    moved,
    of_hours,
    of_values,
    read_moment,
    report_text,
    worst_state,
)
from monitor_settings import Plan, Target
from monitor_watch import Watcher, target_state

Answer = dict[str, object]

CHANGES_SHOWN: Final = 200
PAST_DEFAULT: Final = 20
PAST_MOST: Final = 500
POINTS_DEFAULT: Final = 200


class UnknownTarget(ValueError):
    """No target of that name is watched; the text suggests some that are."""


def find(plan: Plan, name: str) -> Target:
    """The target of that name. Raises UnknownTarget."""
    for target in plan.targets:
        if target.name == name:
            return target
    raise UnknownTarget(f'no target "{name}" is watched; {suggestion(name, [one.name for one in plan.targets])}')


def report(watcher: Watcher, plan: Plan, notes: list[str], *, since: str, now: int) -> Answer:
    """monitoring.report: since a time, or since the last report made without one."""
    if since:
        start = read_moment(since, now)
    else:
        start = watcher.history.load("reported", int, now - DAY_MS)
        start = now - DAY_MS if start > now else start  # the clock was ahead when it was stored
        with suppress(apsw.Error), watcher.history.round():  # full disk: then the next report begins here, too
            watcher.history.save("reported", now)
    changes = watcher.history.changes(start, now, CHANGES_SHOWN + 1)
    more, changes = len(changes) > CHANGES_SHOWN, changes[:CHANGES_SHOWN]
    targets = [_target(watcher, one) for one in plan.targets]
    shifts = [shift for one in plan.targets for shift in _shifts(watcher, one, start)]
    problems = [*plan.problems, *notes]
    return {
        "text": report_text(targets, changes, shifts, problems, start, more=more),
        "time": moment(now),
        "since": moment(start),
        "state": worst_state(str(one["state"]) for one in targets),
        "targets": targets,
        "changes": [describe_change(one) for one in changes],
        "more": more,
        "moved": shifts,
        "alerts": _firing(watcher, plan, now),
        "problems": problems,
    }


def alerts(watcher: Watcher, plan: Plan, *, past: int, now: int) -> Answer:
    """monitoring.alerts: what fires, what is silenced, and the latest begins and ends."""
    return {
        "firing": _firing(watcher, plan, now),
        "silences": [
            {"target": one.target, "check": one.check, "until": moment(one.until), "reason": one.reason}
            for one in watcher.silences
            if one.until > now
        ],
        "past": [describe_change(one) for one in watcher.history.past_alerts(min(max(past, 0), PAST_MOST))],
    }


def history(
    watcher: Watcher, plan: Plan, target: Target, *, metric: str, since: str, until: str, points: int, now: int
) -> Answer:
    """monitoring.history: one metric's values, hourly summaries where single values are no longer kept.

    Without a metric: the names of the metrics.
    """
    known = watcher.history.metrics(target.name, target.subject)
    end = read_moment(until, now) if until else now + 1
    start = read_moment(since, now) if since else end - DAY_MS
    key = (target.name, target.subject, metric)
    border = max(start, _border(watcher.history, key, now - plan.keep_values_ms, end))
    old = of_hours(watcher.history.hours(key, hour_number(start), hour_number(min(border, end))), HOUR_MS)
    new = of_values(watcher.history.values(key, border, end)) if border < end else []
    wanted = min(max(points, 1), SAMPLE_MOST)
    step, rows = downsample([one for one in [*old, *new] if one[0] >= start], start, max(end, start + 1), wanted)
    return {
        "target": target.name,
        "metric": metric,
        "unit": row(metric).unit,
        "source": "hours and values" if old and new else "hours" if old else "values",
        "step_seconds": max(1, step // 1000),
        "points": [
            {"time": moment(at), "count": count, "least": least, "mean": mean, "most": most}
            for at, count, least, mean, most in rows
        ],
        "metrics": list(known),
    }


def _border(kept: History, key: SeriesKey, since: int, end: int) -> int:
    """From when on single values are shown: the first whole hour of those still kept. Values are dropped when older than
    `since`, or because the file would grow too large. `end` if none is left.
    """
    oldest = kept.oldest(key)
    if oldest is None:
        return end
    hour = hour_number(oldest)
    is_summed_up = bool(kept.hours(key, hour, hour + 1))
    return max(hour_number(since) + 1, hour + is_summed_up) * HOUR_MS


def _target(watcher: Watcher, target: Target) -> Answer:
    record = watcher.record(target)
    firing = [one.text for one in record.findings.values() if one.firing]
    return {
        "target": target.name,
        "kind": target.kind,
        "subject": target.subject,
        "state": target_state(record),
        "why": record.why or "; ".join(firing),
        "time": moment(record.at) if record.at else "",
        "metrics": dict(record.metrics),
    }


def _shifts(watcher: Watcher, target: Target, since: int) -> list[Answer]:
    """Metrics that clearly differ from their value at a time."""
    found: list[Answer] = []
    for metric, value in watcher.record(target).metrics.items():
        then = watcher.history.value_at((target.name, target.subject, metric), since)
        if then is not None and moved(metric, then, value):
            text = f"{metric} was {amount(then, metric)}, is {amount(value, metric)}"
            found.append({"target": target.name, "metric": metric, "then": then, "now": value, "text": text})
    return found


def _firing(watcher: Watcher, plan: Plan, now: int) -> list[Answer]:
    return [
        describe_finding(target.name, finding, is_silenced(watcher.silences, target.name, finding.check, now))
        for target in plan.targets
        for finding in watcher.record(target).findings.values()
        if finding.firing or finding.flapping
    ]
