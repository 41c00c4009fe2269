"""Values of params: what can travel is taken as it is, and how much of it there is holds nobody up for long."""

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import ValueInvalid
from manifests.typed import DEEPEST, convert

LEAVES = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    LEAVES | st.text() | st.binary(),
    lambda below: st.lists(below) | st.tuples(below, below) | st.dictionaries(st.text(), below),
)


def plain(value: object) -> object:
    """Lists for tuples."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return {name: plain(one) for name, one in value.items()} if isinstance(value, dict) else value


@given(TREES)
def test_what_can_travel_is_taken_as_it_is_with_lists_for_tuples(value: object) -> None:
    assert convert("any", value) == plain(value)


def nested(value: object, depth: int) -> object:
    for at in range(depth):
        value = {"a": value} if at % 2 else [value]
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1 << 63, "its number is too large"), (-(1 << 63), "its number is too large"), (float("nan"), "not a finite number"),
        (float("inf"), "not a finite number"), ("\ud800", "half a surrogate pair"), ({"\udfff": 1}, "half a surrogate pair"),
        ({1: 2}, "a key in it is not a text"), ({2}, "it holds a date or time"), (object(), "it holds a date or time"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_what_cannot_travel_is_told_wherever_it_lies(value: object, why: str, depth: int) -> None:
    with pytest.raises(ValueInvalid) as invalid:
        convert("any", nested(value, depth))
    assert why in invalid.value.why


def test_a_value_lies_so_deep_and_no_deeper() -> None:
    assert convert("any", nested(1, DEEPEST)) == nested(1, DEEPEST)
    for value in (1, list[object]()):
        with pytest.raises(ValueInvalid, match="nested more than"):
            convert("any", nested(value, DEEPEST + 1))


@pytest.mark.parametrize("item", [[], [[]], 1, "text", None, [1, "text", None, True]])
def test_many_values_are_looked_at_without_a_call_for_each(item: object) -> None:
    """A body has up to a million: while one caller's are read, all others of a provider wait."""
    calls = 0
    value: list[object] = [item] * 10_000

    def count(_: Any, event: str, __: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        convert("any", value)
    finally:
        sys.setprofile(None)
    assert calls < 100
