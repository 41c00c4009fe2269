"""Rates over random clocks: never more than its allowance, floods told apart, refusals counted whole, turns in turn."""

from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.rates import FLOOD, SINGLY, Rate, Tally, Turns

STEPS = st.lists(st.floats(min_value=0, max_value=30, allow_nan=False), min_size=1, max_size=200)


@given(per_minute=st.integers(1, 600), steps=STEPS)
def test_nobody_ever_gets_more_than_its_allowance_and_what_it_saved(per_minute: int, steps: list[float]) -> None:
    rate, now, passed = Rate(per_minute, 0.0), 0.0, 0
    for step in steps:
        now += step
        passed += rate.take(now) == "ok"
        assert passed <= per_minute + now * per_minute / 60 + 1


@given(per_minute=st.integers(1, 600))
def test_a_burst_is_first_served_then_refused_and_only_then_a_flood(per_minute: int) -> None:
    rate = Rate(per_minute, 0.0)
    said = [rate.take(0.0) for _ in range(int(per_minute * FLOOD) + 62)]
    assert said[:per_minute] == ["ok"] * per_minute
    assert sorted(said, key=["ok", "refuse", "flood"].index) == said
    assert said[-1] == "flood"
    assert said[:-1].count("flood") <= 1


def test_an_allowance_comes_back_evenly_over_its_minute() -> None:
    for wait, said in ((0.99, "refuse"), (1.0, "ok")):
        rate = Rate(60, 5.0)
        assert {rate.take(5.0) for _ in range(60)} == {"ok"}
        assert rate.take(5.0 + wait) == said


def test_whoever_waits_is_served_again() -> None:
    rate = Rate(60, 0.0)
    while rate.take(0.0) == "ok":
        pass
    assert rate.take(1.0) == "refuse"  # what it asked too much is still owed
    assert rate.take(10.0) == "ok"


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]), st.integers(0, 2)), min_size=1, max_size=300
    ),
    st.integers(1, SINGLY),
)
def test_every_refusal_is_either_logged_or_in_a_count(asked: list[tuple[str, str, int]], singly: int) -> None:
    tally, second = Tally(), 0
    logged: Counter[tuple[str, str]] = Counter()
    at_once: Counter[tuple[str, str, int]] = Counter()
    for principal, code, step in asked:
        if step:
            second += step
            for *whose, count in tally.drain(second):
                assert count > 0
                logged[whose[0], whose[1]] += count
        if tally.count(principal, code, second, singly):
            logged[principal, code] += 1
            at_once[principal, code, second] += 1
    for *whose, count in tally.drain(second + 1):
        logged[whose[0], whose[1]] += count
    assert logged == Counter((principal, code) for principal, code, _ in asked)
    assert max(at_once.values()) <= singly
    assert not tally


def test_what_is_refused_more_often_is_counted_when_its_second_is_over() -> None:
    tally = Tally()
    assert [tally.count("a", "x", 7, singly=2) for _ in range(5)] == [True, True, False, False, False]
    assert list(tally.drain(7)) == []
    assert list(tally.drain(8)) == [("a", "x", 3)]
    assert list(tally.drain(8)) == []


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 10**6)), max_size=60, unique_by=lambda one: one[1]))
def test_callers_take_turns_and_each_keeps_its_own_order(calls: list[tuple[str, int]]) -> None:
    turns, waiting = Turns(), {name: deque[int]() for name in "abcd"}
    for name, number in calls:
        turns.add(name, number)
        waiting[name].append(number)
    served: list[str] = []
    for number_now in turns.take_all():
        (name,) = [one for one, queue in waiting.items() if queue and queue[0] == number_now][:1]
        waiting[name].popleft()
        served.append(name)
    assert len(served) == len(calls)
    assert not turns


def test_a_caller_that_is_passed_over_keeps_its_turn() -> None:
    turns = Turns()
    for name, number in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        turns.add(name, number)
    assert turns.take_next(lambda number: number > 1) == 2
    assert turns.take_next(lambda _: False) is None
    assert list(turns.take_all()) == [1, 4, 3]
    assert turns.take_next() is None


@pytest.mark.parametrize("many", [1, 50, 1000])
def test_one_call_waits_for_one_of_each_other_caller_however_many_these_have(many: int) -> None:
    turns = Turns()
    for number in range(many):
        turns.add("greedy", number)
    turns.add("modest", -1)
    assert -1 in [turns.take_next(), turns.take_next()]
