"""What is due is started, what is late is made up as the schedule says, and a clock that is set back starts nothing twice."""

from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.firings import Plan
from manifests.schema import Missed, Schedule
from tests.hands.doubles import hand_module
from tests.manifests import wall

turning = hand_module("scheduling", "scheduling_turn")
MINUTE = 60_000
SPREAD = Schedule(every_ms=MINUTE, missed="latest", jitter_ms=20_000)
NOW = 29_000_000 * MINUTE
ODD = {
    name: (datetime(year, 1, 10, 12, tzinfo=UTC), datetime(year + 1, 1, 10, 12, tzinfo=UTC))
    for name, year in (
        ("Australia/Lord_Howe", 2025),
        ("Pacific/Chatham", 2025),
        ("Africa/Casablanca", 2025),
        ("Antarctica/Troll", 2025),
        ("Pacific/Apia", 2011),
    )
}


def plan(missed: Missed = "latest", every: int = MINUTE, jitter: int = 0) -> Plan:
    return Plan(Schedule(every_ms=every, missed=missed, jitter_ms=jitter), since=0, seed="h")


def told(missed: Missed, cursor: int, now: int, every: int = MINUTE) -> tuple[list[tuple[int, bool]], int]:
    turn = turning.turn(plan(missed, every), cursor, now)
    return [((one.planned - NOW) // MINUTE, one.made_up) for one in turn.fire], turn.missed


@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
def test_what_is_on_time_fires_whatever_is_said_of_missed_ones(missed: Missed) -> None:
    assert told(missed, NOW - 1, NOW + 3) == ([(0, False)], 0)
    assert told(missed, NOW, NOW + 3) == ([], 0)


@pytest.mark.parametrize(
    ("missed", "fire", "given_up"),
    [
        ("skip", [], 3),
        ("latest", [(2, True)], 2),
        ("all", [(0, True), (1, True), (2, True)], 0),
    ],
)
def test_after_a_sleep_missed_ones_are_made_up_as_asked(missed: Missed, fire: list[object], given_up: int) -> None:
    assert told(missed, NOW - 1, NOW + 2 * MINUTE + 30_000) == (fire, given_up)


@pytest.mark.parametrize(
    ("missed", "fire", "given_up"),
    [
        ("skip", [(3, False)], 3),
        ("latest", [(3, False)], 3),
        ("all", [(0, True), (1, True), (2, True), (3, False)], 0),
    ],
)
def test_one_that_is_on_time_stands_for_the_latest_missed(missed: Missed, fire: list[object], given_up: int) -> None:
    assert told(missed, NOW - 1, NOW + 3 * MINUTE + 5) == (fire, given_up)


def test_years_of_missed_ones_cost_no_more_than_a_thousand() -> None:
    turn = turning.turn(plan("all", every=1_000), 0, NOW)
    assert len(turn.fire) <= turning.ALL_MOST + 11
    assert turn.fire[-1].planned == NOW
    assert turning.turn(plan("latest", every=1_000), 0, NOW).missed == turning.ALL_MOST


def test_what_is_missed_is_told_from_when_to_when() -> None:
    turn = turning.turn(plan("skip"), NOW - 1, NOW + 150_000)
    assert (turn.first, turn.last) == (NOW, NOW + 2 * MINUTE)


@given(
    st.lists(st.integers(1, 400_000), max_size=30),
    st.sampled_from([0, 20_000]),
    st.sampled_from(["skip", "latest", "all"]),
)
def test_however_it_is_turned_each_firing_is_dealt_with_once_and_in_order(
    steps: list[int], jitter: int, missed: Missed
) -> None:
    one, now, cursor = plan(missed, jitter=jitter), NOW, NOW - 1
    fired: list[int] = []
    given_up = 0
    for step in (1, *steps):
        now += step
        turn = turning.turn(one, cursor, now)
        assert turn.cursor >= cursor
        fired += [due.planned for due in turn.fire]
        given_up, cursor = given_up + turn.missed, turn.cursor
    assert fired == sorted(set(fired))
    assert all(one.due(planned) <= now for planned in fired)
    assert len(fired) + given_up == one.count(NOW - 1, cursor, 10_000)
    assert all(one.due(planned) > now for planned in one.all(cursor, now))
    if missed == "all":
        assert given_up == 0


@cache
def walk(name: str, expression: str) -> tuple[int, ...]:
    return tuple(wall.milliseconds(at) for at in wall.firings(expression, name, *ODD[name]))


@pytest.mark.wide
@given(
    st.sampled_from(sorted(ODD)),
    st.sampled_from(["30 2 * * *", "*/15 * * * *", "10,40 0-3 * * *"]),
    st.integers(0, 360 * 24),
    st.lists(st.integers(-20 * 3_600, 3 * 86_400) | st.integers(1, 1_800), min_size=1, max_size=60),
)
def test_through_jumps_and_sleeps_all_firings_are_those_of_the_minute_walk(
    name: str, expression: str, begin: int, steps: list[int]
) -> None:
    one = Plan(Schedule(cron=expression, timezone=name, missed="all"), since=0, seed="h")
    latest = now = start = wall.milliseconds(ODD[name][0]) + begin * 3_600_000
    cursor, fired = start, []
    for step in steps:
        now = min(max(now + step * 1_000, latest - 20 * 3_600_000), wall.milliseconds(ODD[name][1]) - 1)
        latest = max(latest, now)
        turn = turning.turn(one, turning.set_back(cursor, now), now)
        cursor = turn.cursor
        fired += [due.planned for due in turn.fire]
    assert fired == [at for at in walk(name, expression) if start < at <= latest]


def test_a_clock_that_is_set_back_is_waited_for_and_one_that_was_wrong_is_not() -> None:
    assert turning.set_back(NOW, NOW - 3_600_000) == NOW
    assert turning.set_back(NOW, NOW - 2 * 86_400_000) == NOW - 2 * 86_400_000
    assert [turning.set_back(NOW + turning.BACK_MS + more, NOW) - NOW for more in (0, 1)] == [turning.BACK_MS, 0]
    dues = (NOW, NOW + 1, NOW + turning.AHEAD_MS, NOW + turning.AHEAD_MS + 1)
    assert [turning.must_wait(due, NOW) for due in dues] == [False, True, True, False]


def test_a_firing_is_late_by_when_it_was_to_begin_and_not_by_when_it_was_planned() -> None:
    one = next(one for seed in "abcdefgh" if (one := Plan(SPREAD, since=0, seed=seed)).due(NOW) > NOW + 1_000)
    for late, made_up in ((turning.LATE_MS, False), (turning.LATE_MS + 1, True)):
        turn = turning.turn(one, NOW - 1, one.due(NOW) + late)
        assert [(due.planned, due.made_up) for due in turn.fire] == [(NOW, made_up)]
        assert turn.missed == 0
