"""Rates and rows are right for every pair of readings and every list of processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import hand_module

rates = hand_module("machine", "machine_rates")

FIELDS = (*rates.BUSY_FIELDS, *rates.IDLE_FIELDS)
readings = st.dictionaries(st.sampled_from(FIELDS), st.floats(0, 1e12))
names = st.text("abc*?[", min_size=1, max_size=6)


def row(pid: int, name: str = "x", memory: int = 0, threads: int = 1) -> object:
    return rates.ProcessRow(
        pid=pid, parent=1, name=name, status="sleeping", uid=0, threads=threads, created=0.0, cpu_seconds=1.0,
        memory_bytes=memory,
    )  # fmt: skip


def test_shares_are_of_the_time_between_two_readings() -> None:
    before = dict.fromkeys(FIELDS, 100.0)
    after = {**before, "user": 130.0, "system": 110.0, "idle": 150.0, "iowait": 110.0}
    found = rates.cpu_percent(before, after)
    assert found == {
        "percent": 40.0, "user_percent": 30.0, "system_percent": 10.0, "iowait_percent": 10.0, "steal_percent": 0.0,
    }  # fmt: skip


@given(readings, readings)
def test_shares_lie_between_0_and_100_even_when_counters_go_back(
    before: dict[str, float], after: dict[str, float]
) -> None:
    assert all(0 <= share <= 100 for share in rates.cpu_percent(before, after).values())


@given(st.none() | st.floats(0, 1e9), st.floats(0, 1e9), st.floats(-1, 1e6))
def test_a_process_never_used_less_than_nothing(before: float | None, after: float, seconds: float) -> None:
    assert rates.process_percent(before, after, seconds) >= 0


@pytest.mark.parametrize(
    ("last", "now", "waits"),
    [(None, 5.0, True), (5.0, 5.0, True), (5.0, 6.0, False), (5.0, 305.5, True), (9.0, 5.0, True)],
)
def test_a_reading_waits_only_when_there_is_no_good_one_before(last: float | None, now: float, waits: bool) -> None:
    assert (rates.shortest_wait(last, now) > 0) == waits


@given(names, names)
def test_a_name_is_matched_by_itself_and_by_no_prefix(name: str, other: str) -> None:
    assert all(rates.matching(pattern).fullmatch(name) for pattern in (name, "*", ""))
    if not set(other) & set("*?["):
        assert bool(rates.matching(other).fullmatch(name)) == (name == other)


def test_the_busiest_come_first_and_totals_count_the_unlisted_too() -> None:
    rows = [row(1, "a", 10), row(2, "b", 30, 2), row(3, "b", 40), row(4, "b", 5)]
    found = rates.listing(rows, {4: 50.0, 1: 99.0}, match="b", most=2, now=60.0)
    assert [one["pid"] for one in found["processes"]] == [4, 3]
    assert found["total"] == {"count": 3, "cpu_percent": 50.0, "memory_bytes": 75, "threads": 4, "ended": 0}
    assert found["more"] is True
    assert found["processes"][0]["age_seconds"] == 60
