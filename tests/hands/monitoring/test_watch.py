"""Looks become alarms, notices, history and reports: idle days, failures, restarts, silences, changed settings."""

import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.hands.doubles import hand_module
from tests.hands.monitoring.world import MINUTE, START, stats

watch = hand_module("monitoring", "monitor_watch")
history = hand_module("monitoring", "monitor_history")
settings = hand_module("monitoring", "monitor_settings")
reading = hand_module("monitoring", "monitor_reading")
notices = hand_module("monitoring", "monitor_notices")
desk = hand_module("monitoring", "monitor_desk")

HOUR = 60 * MINUTE


class Days:
    """A watcher on a real file, and a clock."""

    def __init__(self, folder: Path, **given: object) -> None:
        self.folder = folder
        self.now = START
        self.plan = settings.read_plan({"interval": 60.0, **given})
        assert self.plan.problems == ()
        self.store = history.History(folder, now=self.now)
        self.watcher = watch.Watcher(self.store)
        self.heard: list[tuple[int, str, str]] = []

    def restart(self) -> None:
        self.store.close()
        self.store = history.History(self.folder, now=self.now)
        self.watcher = watch.Watcher(self.store)

    def look(self, *seen: SimpleNamespace) -> list[str]:
        """One round, a minute later. Returns the events."""
        self.now += MINUTE
        by_name = {target.name: target for target in self.plan.targets}
        told = self.watcher.take(self.plan, [(by_name[one.target], one) for one in seen], self.now, busy_ms=0)
        for one in told:
            what = "; ".join([*one.over, *(each.check for each in one.fresh or (() if one.over else one.still))])
            self.heard.append((self.now, one.event, what))
        return [one.event for one in told]

    def see(self, name: str, why: str = "", **metrics: float) -> list[str]:
        return self.look(reading.Observation(target=name, at=self.now + MINUTE, why=why, metrics=metrics))

    def tidy(self) -> None:
        keep = {"keep_values_ms": self.plan.keep_values_ms, "keep_ms": self.plan.keep_ms}
        self.store.tidy(self.now, **keep, most_bytes=self.plan.most_bytes)


def test_checks_are_gone_through_in_the_order_in_which_they_came_whatever_a_set_would_make_of_it() -> None:
    names, now = [f"metric{number}" for number in range(12)], START + HOUR
    target = settings.read_plan({"targets": {"site": {"url": "https://example.org/"}}}).targets[0]
    before = watch.Record(subject=target.subject, alarms={name: watch.Alarm() for name in names[:6]})
    checks = {name: watch.Check(name=name, signal="bad", level="alert", text="high") for name in names}
    alarms, findings, _ = watch._step_alarms(target, before, checks, now, 0)
    assert list(alarms) == names
    assert list(findings) == [name for name in names if name in findings]


PAGE = {"targets": {"site": {"url": "https://example.org/"}, "machine": {"off": True}}}


@pytest.mark.wide
def test_a_healthy_machine_is_quiet_for_three_days_and_its_file_small(tmp_path: Path) -> None:
    """The first day is learned, two are judged: no alert, no change, no spike worth a line."""
    days, noise, counters = Days(tmp_path), random.Random(3), None
    for minute in range(3 * 24 * 60):
        reply = stats(noise, uptime=1000 + 60 * minute)
        seen, counters = reading.read_machine("machine", days.now + MINUTE, reply, counters)
        assert days.look(seen) == []
        if minute % 10 == 0:
            days.tidy()
    assert days.store.changes(0, days.now, 99) == []
    normal = days.watcher._baseline(days.plan, days.plan.targets[0], "cpu_percent", days.now)[0]
    assert normal.basis == "last day"
    assert days.store.used_bytes() < 4 << 20
    answer = desk.report(days.watcher, days.plan, [], since="1d", now=days.now)
    assert (answer["state"], answer["changes"], answer["moved"]) == ("ok", [], [])


def test_a_busy_processor_is_an_alert_after_ten_minutes_and_a_recovery_later(tmp_path: Path) -> None:
    days = Days(tmp_path, anomalies=False)
    for percent in [5.0] * 5 + [99.0] * 20 + [5.0] * 10:
        days.see("machine", cpu_percent=percent)
    assert [(at - START) // MINUTE for at, _, _ in days.heard] == [16, 28]
    assert [event for _, event, _ in days.heard] == ["alert", "recovered"]
    assert days.heard[0][2] == "cpu_percent > 95 for 10m clear 85"


def test_an_unusual_day_is_an_alert_though_no_threshold_is_near(tmp_path: Path) -> None:
    days, noise = Days(tmp_path), random.Random(5)
    for _ in range(25 * 60):
        assert days.see("machine", cpu_percent=noise.gauss(6, 2)) == []
        if noise.random() < 0.1:
            days.tidy()
    for _ in range(15):
        days.see("machine", cpu_percent=noise.gauss(60, 2))
    assert [(event, what) for _, event, what in days.heard] == [("alert", "cpu_percent unusual")]
    (alert,) = desk.alerts(days.watcher, days.plan, past=5, now=days.now)["firing"]
    assert "usual is" in alert["text"]
    assert "by last day" in alert["text"]


def test_an_endpoint_that_is_down_says_why(tmp_path: Path) -> None:
    days = Days(tmp_path, **PAGE)
    for _ in range(3):
        days.see("site", "status 503", up=0.0, status=503.0)
    assert days.heard[0][1:] == ("alert", "up critical < 1 for 1m")
    answer = desk.report(days.watcher, days.plan, [], since="1h", now=days.now)
    assert answer["state"] == "critical"
    assert "status 503" in answer["text"]


def test_what_cannot_be_checked_is_a_state_with_a_reason_and_after_a_while_an_alert(tmp_path: Path) -> None:
    days = Days(tmp_path, **PAGE)
    days.see("site", up=1.0)
    for _ in range(5):
        days.look(reading.unchecked("site", days.now + MINUTE, "refused (capability): no grant"))
    answer = desk.report(days.watcher, days.plan, [], since="1h", now=days.now)
    assert answer["state"] == "cannot be checked"
    assert answer["targets"][0]["why"] == "refused (capability): no grant"
    assert [what for _, _, what in days.heard] == ["reachable"]
    days.see("site", up=1.0)
    assert days.heard[-1][1:] == ("recovered", "reachable")


def test_a_restart_tells_nothing_again_and_forgets_nothing(tmp_path: Path) -> None:
    days = Days(tmp_path, **PAGE)
    for _ in range(3):
        days.see("site", up=0.0)
    days.restart()
    for _ in range(10):
        days.see("site", up=0.0)
    assert [event for _, event, _ in days.heard] == ["alert"]
    days.restart()
    for _ in range(4):
        days.see("site", up=1.0)
    assert [event for _, event, _ in days.heard] == ["alert", "recovered"]


def test_a_silence_survives_a_restart_and_its_end_tells_what_still_fires(tmp_path: Path) -> None:
    days = Days(tmp_path, **PAGE)
    days.watcher.silence(
        notices.Silence(target="site", check="", until=days.now + 10 * MINUTE, made=days.now), days.now
    )
    days.restart()
    for _ in range(12):
        days.see("site", up=0.0)
    assert [(at - START) // MINUTE for at, _, _ in days.heard] == [10]


def test_a_lifted_silence_is_over_at_once(tmp_path: Path) -> None:
    days = Days(tmp_path, **PAGE)
    days.watcher.silence(notices.Silence(target="all", check="", until=days.now + HOUR, made=days.now), days.now)
    for _ in range(3):
        assert days.see("site", up=0.0) == []
    assert days.watcher.lift("all", "", days.now) == 1
    assert days.see("site", up=0.0) == ["alert"]


def test_an_alert_whose_rule_was_taken_away_ends_quietly(tmp_path: Path) -> None:
    days = Days(tmp_path, **PAGE)
    for _ in range(3):
        days.see("site", up=0.0)
    days.plan = settings.read_plan(
        {"interval": 60.0, "targets": {"site": {"url": "https://example.org/", "up": "off"}, "machine": {"off": True}}}
    )
    days.see("site", up=0.0)
    answer = desk.report(days.watcher, days.plan, [], since="1h", now=days.now)
    assert answer["state"] == "ok"
    assert [one["kind"] for one in answer["changes"]] == ["withdrawn", "fired"]


def test_a_target_that_now_stands_for_something_else_begins_anew(tmp_path: Path) -> None:
    days = Days(tmp_path, **PAGE)
    for _ in range(3):
        days.see("site", up=0.0)
    other = {"site": {"url": "https://example.net/"}, "machine": {"off": True}}
    days.plan = settings.read_plan({"interval": 60.0, "targets": other})
    days.see("site", up=1.0)
    assert desk.report(days.watcher, days.plan, [], since="1h", now=days.now)["state"] == "ok"
    assert days.store.metrics("site", "https://example.net/") == ("up",)


def test_a_file_that_changes_is_reported_and_can_be_an_alert(tmp_path: Path) -> None:
    days = Days(tmp_path, targets={"f": {"file": "etc/hosts", "changed": "notice > 0"}, "machine": {"off": True}})
    for size in (1, 1, 2, 2):
        reply = {"kind": "file", "size": size, "modified": "2024-10-04T03:00:00Z"}
        days.look(reading.read_file("f", days.now + MINUTE, reply))
    assert [event for _, event, _ in days.heard] == ["alert", "recovered"]
    texts = [one["text"] for one in desk.report(days.watcher, days.plan, [], since="1h", now=days.now)["changes"]]
    assert any("1 bytes" in text and "2 bytes" in text for text in texts)


def test_a_machine_that_was_restarted_is_reported(tmp_path: Path) -> None:
    days = Days(tmp_path)
    days.see("machine", uptime_seconds=5000.0, cpu_percent=1.0)
    days.see("machine", uptime_seconds=20.0, cpu_percent=1.0)
    changes = desk.report(days.watcher, days.plan, [], since="1h", now=days.now)["changes"]
    assert [one["text"] for one in changes] == ["the machine was restarted"]


def test_a_disk_with_a_space_in_its_name_keeps_its_alarm(tmp_path: Path) -> None:
    days = Days(tmp_path)
    for _ in range(30):
        days.look(
            reading.Observation(target="machine", at=days.now + MINUTE, metrics={"disk_percent:/mnt/my disk": 93.0})
        )
    assert [event for _, event, _ in days.heard] == ["alert"]


def test_what_moved_since_the_last_report_is_said_once(tmp_path: Path) -> None:
    days = Days(tmp_path)
    days.see("machine", memory_percent=40.0)
    desk.report(days.watcher, days.plan, [], since="", now=days.now)
    days.see("machine", memory_percent=70.0)
    (moved,) = desk.report(days.watcher, days.plan, [], since="", now=days.now)["moved"]
    assert moved["text"] == "memory_percent was 40.0 %, is 70.0 %"
    assert desk.report(days.watcher, days.plan, [], since="", now=days.now)["moved"] == []


def test_history_joins_hours_that_were_summed_up_with_single_values(tmp_path: Path) -> None:
    days = Days(tmp_path)
    for minute in range(4 * 24 * 6):
        days.now += 9 * MINUTE
        days.see("machine", cpu_percent=float(minute))
    days.tidy()
    target = days.plan.targets[0]
    asked = {"metric": "cpu_percent", "since": "4d", "until": "", "points": 50, "now": days.now}
    answer = desk.history(days.watcher, days.plan, target, **asked)
    assert answer["source"] == "hours and values"
    assert len(answer["points"]) <= 50
    means = [point["mean"] for point in answer["points"]]
    assert means == sorted(means)
    assert sum(point["count"] for point in answer["points"]) == pytest.approx(576, abs=8)
    assert answer["metrics"] == ["cpu_percent"]


def test_history_shows_hours_where_values_were_dropped_for_size(tmp_path: Path) -> None:
    days = Days(tmp_path)
    for minute in range(20 * 6):
        days.now += 9 * MINUTE
        days.see("machine", cpu_percent=float(minute))
    days.tidy()
    asked = {"metric": "cpu_percent", "since": "20h", "until": "", "points": 500, "now": days.now}
    for dropped in (50, 119):
        days.store._connection.execute("DELETE FROM value WHERE value < ?", (dropped,))
        answer = desk.history(days.watcher, days.plan, days.plan.targets[0], **asked)
        assert answer["source"] == "hours and values"
        assert sum(point["count"] for point in answer["points"]) == pytest.approx(120, abs=6)
    days.store._connection.execute("DELETE FROM value")
    answer = desk.history(days.watcher, days.plan, days.plan.targets[0], **asked)
    assert answer["source"] == "hours"
    assert sum(point["count"] for point in answer["points"]) == pytest.approx(120, abs=12)


def test_history_before_the_first_hour_is_over_is_its_values(tmp_path: Path) -> None:
    days = Days(tmp_path)
    days.now -= days.now % HOUR
    for _ in range(5):
        days.see("machine", cpu_percent=1.0)
    days.tidy()
    asked = {"metric": "cpu_percent", "since": "1d", "until": "", "points": 500, "now": days.now}
    answer = desk.history(days.watcher, days.plan, days.plan.targets[0], **asked)
    assert answer["source"] == "values"
    assert sum(point["count"] for point in answer["points"]) == 5


def test_each_target_is_due_at_its_own_time_and_a_late_look_is_made_once() -> None:
    plan = settings.read_plan({"interval": 10.0, "targets": {"slow": {"process": "x", "every": "1m"}}})
    due, wait = watch.next_due(plan.targets, {}, 0)
    assert ([one.name for one in due], wait) == (["machine", "slow"], 10_000)
    due, wait = watch.next_due(plan.targets, {"machine": 0, "slow": 0}, 9_000)
    assert (due, wait) == ([], 1_000)
    due, _ = watch.next_due(plan.targets, {"machine": 0, "slow": 0}, 3_600_000)
    assert [one.name for one in due] == ["machine", "slow"]
    due, _ = watch.next_due(plan.targets, {"machine": 5_000_000, "slow": 5_000_000}, 0)
    assert [one.name for one in due] == ["machine", "slow"]


def test_a_round_counts_no_longer_than_its_looks_may_take() -> None:
    given = {str(number): {"address": f"example.org:{number + 1}"} for number in range(198)}
    plan = settings.read_plan({"targets": {**given, "site": {"url": "https://example.org/", "timeout": "5s"}}})
    assert watch.round_ms(plan.targets, 16, 130_000) == 130_000
    assert watch.round_ms(plan.targets, 16, 8 * HOUR) == (199 * 10_000 + 6 * 5_000) // 16 + 6 * 5_000
    assert watch.round_ms(plan.targets[:1], 16, 8 * HOUR) == 10_000 * 17 // 16
    assert watch.round_ms(plan.targets, 16, -HOUR) == 0


def test_an_alert_of_a_disk_ends_when_its_rule_gets_another_level(tmp_path: Path) -> None:
    rule = "> 90 for 1m clear 88"
    days = Days(tmp_path, targets={"machine": {"disk_percent": f"critical {rule}"}})

    def fill(percent: float) -> list[str]:
        at = days.now + MINUTE
        return days.look(reading.Observation(target="machine", at=at, metrics={"disk_percent:/home": percent}))

    assert [fill(93.0) for _ in range(2)] == [[], ["alert"]]
    days.plan = settings.read_plan({"interval": 60.0, "targets": {"machine": {"disk_percent": rule}}})
    fill(80.0)
    assert watch.target_state(days.watcher.records["machine"]) == "ok"


def test_a_rule_that_ends_like_the_one_before_it_takes_its_place(tmp_path: Path) -> None:
    days = Days(tmp_path, **PAGE)
    assert [days.see("site", up=0.0) for _ in range(2)] == [[], ["alert"]]
    site = {"url": "https://example.org/", "up": "< 1 for 1m"}  # the default is the same, but critical
    days.plan = settings.read_plan({"interval": 60.0, "targets": {**PAGE["targets"], "site": site}})
    days.see("site", up=1.0)
    assert watch.target_state(days.watcher.records["site"]) == "ok"
