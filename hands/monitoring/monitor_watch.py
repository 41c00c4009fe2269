"""Takes looks through rules, baselines, alarms and notices into the history (decides; acts on the history only).

The clock is an argument of each call, so tests run through days as fast as they compute. What must outlive a restart
(alarms, what was notified or is yet to be published, silences) is in the history, written in one round with the values.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from monitor_alarm import Alarm, is_firing, step
from monitor_baseline import DAY_MS, HOUR_MS, Baseline, Judgement, baseline, hour_number, judge
from monitor_history import History, SeriesKey
from monitor_metrics import base_name, row
from monitor_notices import Finding, Group, Notice, Silence, decide_notices
from monitor_reading import Observation
from monitor_report import Change, ChangeKind, Event, amount, event_of, state_of
from monitor_rules import Level, Signal, check_name, metric_of, signal
from monitor_settings import Plan, Target
from monitor_statistics import DAY_HOURS, DRIFT_DAYS, Drift, drift

RECORD: Final = "record:"
UNSENT: Final = "unsent"
UNSENT_MOST: Final = 200
"""Events that are kept while they cannot be published; the oldest are dropped first."""

LABELS: Final = ("files", "web")
"""The labels of an event that an earlier run left: of what its texts tell, this run may have seen nothing."""

REFRESH_MS: Final = 600_000
"""A baseline is computed anew so often, in ms, and at each new hour."""

CLEAR_MOST_MS: Final = 120_000
UNUSUAL_CLEAR_MOST_MS: Final = 300_000
REACH_HELD_MS: Final = 60_000
GONE_MS: Final = DAY_MS
SEASON_HOURS: Final = 8 * 7 * DAY_HOURS
"""Hours that a baseline looks back: eight weeks."""


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The result of one check on one look, regardless of time. held_ms, clear_ms: as in monitor_alarm.step."""

    name: str
    signal: Signal
    level: Level
    text: str
    held_ms: int = 0
    clear_ms: int = 0


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is stored of a target between looks. findings: the last one of each check that is not ok."""

    subject: str
    at: int = 0
    checked: bool = True
    why: str = ""
    metrics: dict[str, float] = {}
    facts: dict[str, str] = {}
    alarms: dict[str, Alarm] = {}
    findings: dict[str, Finding] = {}
    group: Group = Group()


class Watcher:
    """Judges looks, stores each target's record, and decides notices."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.records: dict[str, Record] = history.load_all(RECORD, Record)
        self.silences: list[Silence] = history.load("silences", list[Silence], [])
        left = history.load(UNSENT, list[Event], [])
        self.unsent = [msgspec.structs.replace(one, labels=LABELS) for one in left]
        self._normal: dict[SeriesKey, tuple[int, Baseline, Drift | None]] = {}

    def record(self, target: Target) -> Record:
        """A target's record; a new one if its subject has changed."""
        known = self.records.get(target.name)
        if known is None or known.subject != target.subject:
            return Record(subject=target.subject)
        return known

    def take(
        self, plan: Plan, looks: Sequence[tuple[Target, Observation]], now: int, *, busy_ms: int
    ) -> tuple[Notice, ...]:
        """Takes one round: stores each look, steps every alarm, stores the events to publish. Returns the notices.

        All is one transaction: if it fails, nothing changes and the exception is raised; `judge` then does the same without
        storing. busy_ms: what these looks, and the ones before of the same targets, took (round_ms): values may lie so far
        apart although none was missed.
        """
        records = self._watched(plan)
        notices: list[Notice] = []
        with self.history.round():
            for target, seen in looks:
                record, rung, changes = self._judge(plan, target, seen, now, busy_ms)
                records[target.name] = record
                self.history.add_values(target.name, target.subject, seen.at, record.metrics if seen.checked else {})
                self.history.save(RECORD + target.name, record)
                notices += rung
                for change in changes:
                    self.history.add_change(change)
            for name in self.records.keys() - records.keys():
                self.history.forget(RECORD + name)
            unsent = self._unsent_with(notices, records, now)
            if notices:
                self.history.save(UNSENT, unsent)
        self.records, self.unsent = records, unsent
        return tuple(notices)

    def judge(
        self, plan: Plan, looks: Sequence[tuple[Target, Observation]], now: int, *, busy_ms: int
    ) -> tuple[Notice, ...]:
        """Does the same without storing, for a full disk: alarms go on in memory, and their notices are returned."""
        records = self._watched(plan)
        notices: list[Notice] = []
        for target, seen in looks:
            records[target.name], rung, _ = self._judge(plan, target, seen, now, busy_ms)
            notices += rung
        self.records, self.unsent = records, self._unsent_with(notices, records, now)
        return tuple(notices)

    def sent(self, event: Event) -> None:
        """Takes a published event off the unsent ones. A kill before this is stored has it published twice."""
        self.unsent = [one for one in self.unsent if one is not event]
        self.history.save(UNSENT, self.unsent)

    def _unsent_with(self, notices: Sequence[Notice], records: Mapping[str, Record], now: int) -> list[Event]:
        events = [event_of(one, records[one.target].subject, now) for one in notices]
        return [*self.unsent, *events][-UNSENT_MOST:]

    def _watched(self, plan: Plan) -> dict[str, Record]:
        names = {one.name for one in plan.targets}
        return {name: one for name, one in self.records.items() if name in names}

    def assess(self, plan: Plan, target: Target, seen: Observation, now: int) -> tuple[Check, ...]:
        """The result of every check on one look, stored nowhere: for monitoring.check."""
        return tuple(self._checks(plan, target, self._with_changed(target, seen, self.record(target)), now)[0])

    def silence(self, silence: Silence, now: int) -> None:
        """Adds a silence; it replaces one for the same target and check."""
        same = (silence.target, silence.check)
        kept = [one for one in self.silences if one.until > now and (one.target, one.check) != same]
        self.set_silences([*kept, silence])

    def lift(self, target: str, check: str, now: int) -> int:
        """Removes silences. Returns how many were in force."""
        lifted = [one for one in self.silences if one.target == target and check in ("", one.check) and one.until > now]
        self.set_silences([one for one in self.silences if one not in lifted and one.until > now])
        return len(lifted)

    def set_silences(self, silences: list[Silence]) -> None:
        """Stores these as all silences."""
        with self.history.round():
            self.history.save("silences", silences)
        self.silences = silences

    def _judge(
        self, plan: Plan, target: Target, seen: Observation, now: int, busy_ms: int
    ) -> tuple[Record, tuple[Notice, ...], list[Change]]:
        before = self.record(target)
        seen = self._with_changed(target, seen, before)
        checks, judged = self._checks(plan, target, seen, now)
        changes = list(_changes_seen(before, seen, judged, target, now))
        alarms, findings, turned = _step_alarms(target, before, {check.name: check for check in checks}, now, busy_ms)
        changes += turned
        group, notices = decide_notices(
            target.name,
            before.group,
            [findings[name] for name in sorted(findings)],
            self.silences,
            now=now,
            group_ms=plan.group_ms,
            repeat_ms=plan.repeat_ms,
        )
        record = Record(
            subject=target.subject,
            at=seen.at,
            checked=seen.checked,
            why=seen.why,
            metrics=seen.metrics if seen.checked else before.metrics,
            facts=seen.facts or before.facts,
            alarms=alarms,
            findings=findings,
            group=group,
        )
        return record, notices, changes

    def _with_changed(self, target: Target, seen: Observation, before: Record) -> Observation:
        """The look, for a file with the metric `changed`, which compares it with the last look."""
        if target.kind != "file" or not seen.checked:
            return seen
        changed = bool(before.facts) and seen.facts != before.facts
        return msgspec.structs.replace(seen, metrics={**seen.metrics, "changed": 1.0 if changed else 0.0})

    def _checks(
        self, plan: Plan, target: Target, seen: Observation, now: int
    ) -> tuple[list[Check], dict[str, Judgement]]:
        """(the result of every check on this look, the judgement of each metric)."""
        reach = Check(
            name="reachable",
            signal="good" if seen.checked else "bad",
            level="warning",
            text="can be checked" if seen.checked else f"cannot be checked: {seen.why}",
            held_ms=max(2 * target.every_ms, REACH_HELD_MS),
        )
        checks = [reach]
        judged: dict[str, Judgement] = {}
        for metric, value in seen.metrics.items():
            checks += _rule_checks(target, seen, metric, value)
            if target.judged and row(metric).judged:
                normal, trend = self._baseline(plan, target, metric, now)
                judged[metric] = judge(value, normal, row(metric), plan.sensitivity)
                checks.append(_unusual(metric, value, normal, judged[metric]))
                checks.append(_drifting(metric, trend, plan.sensitivity))
        return checks, judged

    def _baseline(self, plan: Plan, target: Target, metric: str, now: int) -> tuple[Baseline, Drift | None]:
        """The series' baseline and drift, computed anew every ten minutes and at each new hour."""
        key = (target.name, target.subject, metric)
        known = self._normal.get(key)
        if known is not None and known[0] <= now < known[0] + REFRESH_MS and hour_number(known[0]) == hour_number(now):
            return known[1], known[2]
        first = self.history.first(key)
        if first is None:
            return Baseline(basis="learning"), None
        hour, about = hour_number(now), row(metric)
        hours = self.history.hours(key, hour - SEASON_HOURS, hour)
        last_day = [value for _, value in self.history.values(key, now - DAY_MS, now)]
        normal = baseline(about, hours, last_day, now=now, first=first, learning_ms=plan.learning_ms)
        recent = {one.number: one.median for one in hours if one.number >= hour - (DRIFT_DAYS * DAY_HOURS)}
        trend = drift(recent, hour - 1, about.floor, about.floor_share)
        self._normal[key] = (now, normal, trend)
        return normal, trend


def next_due(targets: Sequence[Target], last: Mapping[str, int], now: int) -> tuple[list[Target], int]:
    """(targets to look at now, milliseconds until the next one is due). last: when each was looked at, epoch ms.

    A late look is made once, not once for each missed one. After the clock was set back, every target is due.
    """
    due = [one for one in targets if not 0 <= now - last.get(one.name, -one.every_ms) < one.every_ms]
    waits = [one.every_ms - (0 if one in due else now - last[one.name]) for one in targets]
    return due, max(1, min(waits, default=HOUR_MS))


def round_ms(due: Sequence[Target], together: int, took: int) -> int:
    """How long a round of looks took, in ms, but at most what their timeouts allow: beyond that this machine or the kernel
    stood still and nobody watched. together: looks under way at once; took: milliseconds by the wall clock.
    """
    most = [one.timeout_ms * (1 + one.follow if one.kind == "http" else 1) for one in due]
    return max(0, min(took, sum(most) // together + max(most, default=0)))


def target_state(record: Record) -> str:
    """A target's state in one word."""
    return state_of(list(record.findings.values()), looked=record.at > 0, checked=record.checked)


def _rule_checks(target: Target, seen: Observation, metric: str, value: float) -> Iterator[Check]:
    for name, rule in target.rules:
        if name == base_name(metric):
            why = f" ({seen.why})" if seen.why else ""
            yield Check(
                name=check_name(metric, rule),
                signal=signal(rule, value),
                level=rule.level,
                text=f"{metric} is {amount(value, metric)}{why}",
                held_ms=rule.held_ms,
                clear_ms=min(rule.held_ms, CLEAR_MOST_MS),
            )


def _unusual(metric: str, value: float, normal: Baseline, judged: Judgement) -> Check:
    usual = "what is usual is not known yet"
    if judged.score is not None:
        usual = f"usual is {amount(normal.centre, metric)} ± {amount(normal.spread, metric)} by {normal.basis}"
        usual += f", so {judged.score:+.1f} deviations"
    return Check(
        name=f"{metric} unusual",
        signal=judged.signal,
        level="warning",
        text=f"{metric} is {amount(value, metric)}; {usual}",
        held_ms=row(metric).hold_ms,
        clear_ms=min(row(metric).hold_ms, UNUSUAL_CLEAR_MOST_MS),
    )


def _drifting(metric: str, trend: Drift | None, sensitivity: float) -> Check:
    name = f"{metric} drifts"
    if trend is None:
        return Check(
            name=name, signal="unknown", level="notice", text=f"the last {DRIFT_DAYS} days have too few values"
        )
    side = row(metric).side
    size = abs(trend.score) if side == "both" else trend.score if side == "above" else -trend.score
    found: Signal = "bad" if size > sensitivity else "good" if size < 0.7 * sensitivity else "between"
    by = amount(abs(trend.whole), metric)
    text = f"{metric} has been {'rising' if trend.whole > 0 else 'falling'} for {DRIFT_DAYS} days, by {by} in all"
    return Check(name=name, signal=found, level="notice", text=text)


def _step_alarms(
    target: Target, before: Record, present: Mapping[str, Check], now: int, busy_ms: int
) -> tuple[dict[str, Alarm], dict[str, Finding], list[Change]]:
    """(every alarm one step on, findings of those that fire or flap, history changes). present: the checks of this look."""
    alarms: dict[str, Alarm] = {}
    findings: dict[str, Finding] = {}
    changes: list[Change] = []
    for name in dict.fromkeys((*before.alarms, *present)):
        check = present.get(name)
        old = before.alarms.get(name, Alarm())
        if check is None and (_is_withdrawn(name, target) or _is_gone(old, now)):
            if is_firing(old):
                changes.append(_change(target, now, "withdrawn", "notice", f"{name}: no longer checked"))
            continue
        alarm = step(
            old,
            check.signal if check else "unknown",
            now=now,
            held_ms=check.held_ms if check else 0,
            clear_ms=check.clear_ms if check else 0,
            gap_ms=3 * target.every_ms + target.timeout_ms + busy_ms,
        )
        alarms[name] = alarm
        finding = _finding(name, check, alarm, before.findings.get(name))
        if finding.firing or finding.flapping:
            findings[name] = finding
        changes += _alarm_changes(target, old, alarm, finding, now)
    return alarms, findings, changes


def _finding(name: str, check: Check | None, alarm: Alarm, before: Finding | None) -> Finding:
    """A check's finding. While it has no value, or is recovering, the last level and text stay."""
    new = check is not None and (check.signal == "bad" or before is None)
    return Finding(
        check=name,
        level=check.level if check is not None else before.level if before is not None else "warning",
        text=check.text if check is not None and new else before.text if before is not None else name,
        since=alarm.since,
        flapping=alarm.flapping,
        firing=is_firing(alarm),
    )


def _alarm_changes(target: Target, old: Alarm, new: Alarm, finding: Finding, now: int) -> Iterator[Change]:
    """What this step changed, for the history: every change is recorded, notified or not."""
    if is_firing(new) and not is_firing(old):
        yield _change(target, now, "fired", finding.level, f"{finding.check}: {finding.text}")
    if is_firing(old) and not is_firing(new):
        yield _change(target, now, "over", finding.level, f"{finding.check}: over")
    if new.flapping and not old.flapping:
        yield _change(target, now, "flapping", finding.level, f"{finding.check}: flapping")
    if old.flapping and not new.flapping:
        yield _change(target, now, "steady", finding.level, f"{finding.check}: steady again")


def _changes_seen(
    before: Record, seen: Observation, judged: Mapping[str, Judgement], target: Target, now: int
) -> Iterator[Change]:
    """What this look shows besides alarms: facts that changed, a restart of the machine, spikes, a target lost or
    found.
    """
    if before.at and before.checked != seen.checked:
        text = "can be checked again" if seen.checked else f"cannot be checked: {seen.why}"
        yield _change(target, now, "changed", "notice", text)
    for name, value in seen.facts.items():
        if name in before.facts and before.facts[name] != value:
            yield _change(target, now, "changed", "notice", f"{name}: {before.facts[name]} → {value}")
    up, was = seen.metrics.get("uptime_seconds"), before.metrics.get("uptime_seconds")
    if up is not None and was is not None and up < was:
        yield _change(target, now, "changed", "notice", "the machine was restarted")
    for metric, found in judged.items():
        last = before.alarms.get(f"{metric} unusual", Alarm()).last
        if found.spike and last != "bad":
            text = f"{metric} jumped to {amount(seen.metrics[metric], metric)}, {found.score:+.1f} deviations"
            yield _change(target, now, "spike", "notice", text)


def _is_withdrawn(name: str, target: Target) -> bool:
    """Whether the settings no longer ask for this check."""
    if name == "reachable":
        return False
    if name.endswith((" unusual", " drifts")):
        return not target.judged
    return not any(metric_of(name, rule) == metric for metric, rule in target.rules)


def _is_gone(alarm: Alarm, now: int) -> bool:
    """Whether its thing (a disk, perhaps) has not been seen for a day."""
    return alarm.last == "unknown" and now - alarm.streak > GONE_MS


def _change(target: Target, now: int, kind: ChangeKind, level: Level, text: str) -> Change:
    return Change(at=now, target=target.name, subject=target.subject, kind=kind, level=level, text=text)
