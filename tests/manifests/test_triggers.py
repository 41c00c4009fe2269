"""Filters let through what they say and nothing else, and inputs hold what started a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.triggers import check_filter, check_inputs, fill, matches, uses_event, value_at

BODY = {
    "level": "high", "rows": 120, "ok": True, "job": {"name": "load", "tags": ["a", "b"], "codes": [1, 0]}, "none": None
}  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({}, True),
        ({"level": "high"}, True),
        ({"level": "low"}, False),
        ({"level": ["low", "high"]}, True),
        ({"level": {"starts": "hi"}}, True),
        ({"level": {"holds": "ig"}}, True),
        ({"level": {"not": "low"}}, True),
        ({"level": {"above": 1}}, False),
        ({"rows": 120}, True),
        ({"rows": {"above": 100, "at_most": 120}}, True),
        ({"rows": {"above": 120}}, False),
        ({"rows": {"at_least": 120, "below": 120}}, False),
        ({"ok": True}, True),
        ({"ok": 1}, False),
        ({"rows": True}, False),
        ({"job.name": "load", "job.tags": {"holds": "b"}}, True),
        ({"job.codes": {"holds": 1}}, True),
        ({"job.codes": {"holds": True}}, False),
        ({"job.tags.0": "a"}, True),
        ({"job.tags.7": "a"}, False),
        ({"job.name.more": "x"}, False),
        ({"missing": {"not": "x"}}, False),
        ({"none": {"not": "x"}}, False),
        ({"level": "high", "rows": 5}, False),
    ],
)
def test_a_filter_asks_for_all_of_its_rows(rows: dict[str, object], expected: bool) -> None:
    assert check_filter(rows) == {}
    assert matches(rows, BODY) is expected


@given(ANYTHING, st.sampled_from([{"a": 1}, {"a.b": {"above": 0.5}}, {"a": {"holds": "x"}}, {"a": ["x", True]}]))
def test_no_body_breaks_a_filter(body: object, rows: dict[str, object]) -> None:
    assert isinstance(matches(rows, body), bool)


@given(ANYTHING)
def test_an_empty_filter_takes_everything_and_another_takes_no_body_without_its_path(body: object) -> None:
    assert matches({}, body)
    assert not matches({"\x00.never.there": "x"}, body)


def test_inputs_are_filled_with_time_and_event() -> None:
    inputs = {
        "when": "$time", "all": "$event", "rows": "$event.rows", "gone": "$event.gone.far", "price": "$$5", "plain": "a $",
        "deep": {"list": ["$event.job.name", 3, True]},
    }  # fmt: skip
    assert check_inputs(inputs) == {}
    assert fill(inputs, 1_764_115_200_000_000, BODY) == {
        "when": "2025-11-26T00:00:00.000000Z", "all": BODY, "rows": 120, "gone": None, "price": "$5", "plain": "a $",
        "deep": {"list": ["load", 3, True]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"), [("$event", True), ({"a": ["$event.x"]}, True), ("$$event", False), (5, False)]
)
def test_it_is_known_which_inputs_need_an_event(value: object, expected: bool) -> None:
    assert uses_event(value) is expected


def test_what_is_too_long_is_told_of_the_whole() -> None:
    assert set(check_filter({"a": "x" * 5_000})) == {""}
    assert set(check_inputs({"a": "x" * 20_000})) == {""}


def test_what_an_event_brings_is_not_read_as_an_input_of_ours() -> None:
    assert fill({"a": "$event.text"}, 0, {"text": "$time"}) == {"a": "$time"}
    assert value_at({"a": {"b": 1}}, "a.b") == 1
