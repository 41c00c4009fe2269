"""An alarm's life: every event in every state, hysteresis, time, gaps, flapping; and who is told what, when."""

import random
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.hands.doubles import hand_module

alarms = hand_module("monitoring", "monitor_alarm")
notices = hand_module("monitoring", "monitor_notices")

MINUTE = 60_000
HOUR = 60 * MINUTE
SIGNALS = ["bad", "between", "good", "unknown"]


def run(signals: Sequence[str], *, held_ms: int = 0, clear_ms: int = 0, every: int = MINUTE) -> list[SimpleNamespace]:
    found, alarm = [], alarms.Alarm()
    for place, signal in enumerate(signals):
        now = (place + 1) * every
        alarm = alarms.step(alarm, signal, now=now, held_ms=held_ms, clear_ms=clear_ms, gap_ms=3 * every)
        found.append(alarm)
    return found


def states(signals: Sequence[str], **options: int) -> list[str]:
    return [alarm.state for alarm in run(signals, **options)]


def test_the_table_has_a_row_for_every_state_and_event() -> None:
    pairs = {
        (state, event)
        for state in ("ok", "pending", "firing", "clearing")
        for event in ("bad", "long_bad", "between", "good", "long_good", "unknown")
    }
    assert set(alarms.TABLE) == pairs


def test_it_fires_when_it_was_bad_for_long_enough_and_not_before() -> None:
    assert states(["bad"] * 4, held_ms=3 * MINUTE) == ["pending", "pending", "pending", "firing"]


def test_one_good_value_in_between_starts_the_time_anew() -> None:
    assert "firing" not in states(["bad", "bad", "good"] * 10, held_ms=2 * MINUTE)


def test_between_limit_and_clear_value_nothing_changes() -> None:
    assert states(["bad", "between", "between", "good"]) == ["firing", "firing", "firing", "ok"]
    assert states(["between"] * 3) == ["ok"] * 3


def test_it_ends_when_it_was_good_for_long_enough() -> None:
    found = states(["bad", "good", "good", "bad", "good", "good", "good"], clear_ms=2 * MINUTE)
    assert found == ["firing", "clearing", "clearing", "firing", "clearing", "clearing", "ok"]


def test_a_missing_value_ends_no_alarm_and_begins_none() -> None:
    assert states(["bad", "unknown", "unknown"]) == ["firing"] * 3
    assert states(["bad", "unknown", "bad", "unknown"], held_ms=2 * MINUTE) == ["pending", "ok", "pending", "ok"]


def test_a_gap_is_not_time_in_which_it_was_bad() -> None:
    alarm = alarms.step(alarms.Alarm(), "bad", now=0, held_ms=HOUR, clear_ms=0, gap_ms=MINUTE)
    alarm = alarms.step(alarm, "bad", now=2 * HOUR, held_ms=HOUR, clear_ms=0, gap_ms=MINUTE)
    assert alarm.state == "pending"


@given(st.lists(st.sampled_from(SIGNALS), max_size=60), st.integers(0, 5), st.integers(0, 5))
def test_it_never_fires_without_that_many_bad_values_in_a_row(signals: list[str], held: int, clear: int) -> None:
    longest = 0
    for place, alarm in enumerate(run(signals, held_ms=held * MINUTE, clear_ms=clear * MINUTE)):
        longest = longest + 1 if signals[place] == "bad" else 0
        before = place and alarms.is_firing(run(signals[:place], held_ms=held * MINUTE, clear_ms=clear * MINUTE)[-1])
        if alarms.is_firing(alarm) and not before:
            assert longest >= held + 1


def test_a_clock_that_was_ahead_keeps_no_alarm_from_firing_or_ending() -> None:
    alarm = alarms.Alarm()
    for signal, wanted in (("bad", "firing"), ("good", "ok")):
        alarm = alarms.step(alarm, signal, now=1_000 * HOUR, held_ms=MINUTE, clear_ms=MINUTE, gap_ms=3 * MINUTE)
        for minute in (1, 2):
            alarm = alarms.step(alarm, signal, now=minute * MINUTE, held_ms=MINUTE, clear_ms=MINUTE, gap_ms=3 * MINUTE)
        assert alarm.state == wanted


def test_flapping_is_weighed_as_nagios_does() -> None:
    assert alarms.flap_percent((False,) * 21) == 0
    assert alarms.flap_percent(tuple(place % 2 == 0 for place in range(21))) == pytest.approx(100)
    newest = alarms.flap_percent((False,) * 20 + (True,))
    oldest = alarms.flap_percent((False,) + (True,) * 20)
    assert (oldest, newest) == (pytest.approx(4.0), pytest.approx(6.0))


def test_it_flaps_at_every_other_value_and_is_steady_again_after_a_quiet_time() -> None:
    found = run(["bad", "good"] * 10 + ["good"] * 21)
    assert found[15].flapping
    assert not found[-1].flapping


@given(st.lists(st.sampled_from(["bad", "good"]), max_size=60))
@example(["bad", "good"] * 10 + ["good"] * 21)
def test_it_flaps_from_30_percent_on_until_it_is_below_15(signals: list[str]) -> None:
    flapping = False
    for alarm in run(signals):
        share = alarms.flap_percent(alarm.recent)
        flapping = share >= (15 if flapping else 30)
        assert alarm.flapping == flapping


def test_it_knows_since_when_it_fires_and_since_when_it_does_not() -> None:
    found = run(["good", "good", "bad", "between", "bad", "good", "good"])
    assert [alarm.since // MINUTE for alarm in found] == [1, 1, 3, 3, 3, 6, 6]


def test_one_failure_and_its_end_is_no_flapping() -> None:
    assert not any(one.flapping for one in run(["good"] * 5 + ["bad"] * 5 + ["good"] * 12))


# who is told ---------------------------------------------------------------------------------------------------------


def finding(check: str, level: str = "warning", **more: bool) -> SimpleNamespace:
    found: SimpleNamespace = notices.Finding(check=check, level=level, text=check, since=1, **more)
    return found


class Room:
    """Rings as time passes and keeps what was told."""

    def __init__(self) -> None:
        self.group = notices.Group()
        self.heard: list[tuple[int, str, list[str]]] = []

    def at(self, minute: int, *findings: SimpleNamespace, silences: Sequence[SimpleNamespace] = ()) -> list[str]:
        self.group, told = notices.decide_notices(
            "t", self.group, findings, silences, now=minute * MINUTE, group_ms=5 * MINUTE, repeat_ms=4 * HOUR
        )
        for one in told:
            names = list(one.over) if one.event == "recovered" else [each.check for each in one.fresh or one.still]
            self.heard.append((minute, "repeat" if one.repeat else one.event, names))
        return [one.event for one in told]


def test_the_first_alert_is_told_at_once_and_once() -> None:
    room = Room()
    for minute in range(1, 60):
        room.at(minute, finding("a"))
    assert room.heard == [(1, "alert", ["a"])]


def test_what_follows_within_the_window_is_told_together() -> None:
    room = Room()
    room.at(1, finding("a"))
    room.at(2, finding("a"), finding("b"))
    room.at(3, finding("a"), finding("b"), finding("c"))
    room.at(6, finding("a"), finding("b"), finding("c"))
    assert room.heard == [(1, "alert", ["a"]), (6, "alert", ["b", "c"])]


def test_a_critical_one_does_not_wait() -> None:
    room = Room()
    room.at(1, finding("a"))
    room.at(2, finding("a"), finding("b", "critical"))
    assert room.heard[-1] == (2, "alert", ["b"])


def test_what_goes_on_is_repeated_every_four_hours() -> None:
    room = Room()
    for minute in range(1, 10 * 60):
        room.at(minute, finding("a"))
    assert [minute for minute, _, _ in room.heard] == [1, 241, 481]
    assert room.heard[1][1] == "repeat"


def test_a_clock_that_was_ahead_delays_no_alert_and_no_repetition() -> None:
    room = Room()
    room.at(100_000, finding("a"))
    for minute in range(1, 250):
        room.at(minute, finding("a"), finding("b"))
    assert room.heard[1:] == [(6, "alert", ["b"]), (246, "repeat", ["a", "b"])]


def test_recovery_is_told_once() -> None:
    room = Room()
    room.at(1, finding("a"))
    for minute in range(2, 30):
        room.at(minute)
    assert room.heard == [(1, "alert", ["a"]), (2, "recovered", ["a"])]


def test_what_came_and_went_before_it_was_told_is_never_told() -> None:
    room = Room()
    room.at(1, finding("a"))
    room.at(2, finding("a"), finding("b"))
    room.at(3, finding("a"))
    room.at(30, finding("a"))
    assert room.heard == [(1, "alert", ["a"])]


def test_a_silenced_check_is_told_when_the_silence_ends_and_it_still_fires() -> None:
    room = Room()
    silence = notices.Silence(target="t", check="a", until=10 * MINUTE, made=0)
    for minute in range(1, 15):
        room.at(minute, finding("a"), silences=[silence])
    assert room.heard == [(10, "alert", ["a"])]


def test_of_what_is_silenced_no_end_is_told_either_and_what_flaps_is_silenced_by_its_name() -> None:
    room = Room()
    silence = notices.Silence(target="t", check="a", until=HOUR, made=0)
    room.at(1, finding("a"))
    room.at(20, finding("a", flapping=True), silences=[silence])
    room.at(40, silences=[silence])
    room.at(90)
    assert room.heard == [(1, "alert", ["a"])]


@pytest.mark.parametrize(("target", "check"), [("all", ""), ("t", ""), ("t", "a"), ("all", "a")])
def test_a_silence_covers_what_it_names(target: str, check: str) -> None:
    silence = notices.Silence(target=target, check=check, until=2, made=0)
    assert notices.is_silenced([silence], "t", "a", 1)
    assert not notices.is_silenced([silence], "t", "a", 2)
    assert notices.is_silenced([silence], "other", "b", 1) == (target == "all" and check == "")


def test_a_flapping_check_is_told_as_such_once_until_it_is_steady() -> None:
    room = Room()
    for minute in range(1, 200):
        room.at(minute, finding("a", flapping=True, firing=minute % 2 == 0))
    assert room.heard == [(1, "alert", ["a"])]
    room.at(300)
    assert room.heard[-1] == (300, "recovered", ["a (flapping)"])


@given(st.integers(0, 10_000))
def test_every_recovery_was_an_alert_before_and_no_alert_is_told_twice(seed: int) -> None:
    random_, room, open_ = random.Random(seed), Room(), set[str]()
    firing: set[str] = set()
    for minute in range(1, 120):
        firing ^= {name for name in "abc" if random_.random() < 0.1}
        room.at(minute, *(finding(name, random_.choice(["warning", "critical"])) for name in sorted(firing)))
    for _, event, names in room.heard:
        if event == "alert":
            assert not open_ & set(names)
            open_ |= set(names)
        elif event == "recovered":
            assert set(names) <= open_
            open_ -= set(names)
