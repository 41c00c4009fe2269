"""A body's value as JSON: whatever msgpack can tell, in the same words each time."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import codec

NAMES = st.text() | st.integers(-(2**63), 2**64 - 1) | st.none() | st.booleans() | st.binary() | st.floats()
VALUES = st.recursive(
    NAMES | st.builds(msgspec.msgpack.Ext, st.integers(-128, -2) | st.integers(0, 127), st.binary()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.tuples(NAMES), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_whatever_travels_can_be_told_in_json_and_the_same_each_time(value: object) -> None:
    body = codec.encode_body(value)
    first, second = (codec.as_json(codec.decode_body(body)) for _ in range(2))
    assert first == second
    msgspec.json.decode(first)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [1, 2.5, None, True, "b"]}, '{"a":[1,2.5,null,true,"b"]}'),
        ({"a": b"\x00\xff"}, '{"a":"AP8="}'),
        ({"a": {None: "n"}}, '{"a":{"None":"n"}}'),
        ({"a": msgspec.msgpack.Ext(5, b"\x01\x02")}, '{"a":"extension 5: 0102"}'),
    ],
)
def test_a_value_is_told_in_these_words(value: object, told: str) -> None:
    assert codec.as_json(value).decode() == told


def test_a_value_that_lies_deep_within_itself_is_no_error() -> None:
    value: object = {None: 1}
    for _ in range(100_000):
        value = [value]
    assert codec.as_json(value) == b'"it lies too deep within itself to be told"'
