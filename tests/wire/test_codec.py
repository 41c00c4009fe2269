"""A body's value as JSON: whatever msgpack can tell, in the same words each time."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import codec, limits
from wire.errors import CodecError

NAMES = st.text() | st.integers(-(2**63), 2**64 - 1) | st.none() | st.booleans() | st.binary() | st.floats()
VALUES = st.recursive(
    NAMES | st.builds(msgspec.msgpack.Ext, st.integers(-128, -2) | st.integers(0, 127), st.binary()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.tuples(NAMES), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("count", [0, 1, 15, 16, limits.NAMES_MAX])
def test_a_table_of_arguments_is_taken_apart_and_its_values_are_not_read(count: int) -> None:
    table = {f"name-{one}": [one, {"a": None}] for one in range(count)}
    told = codec.decode_table(codec.encode_body(table))
    assert {name: codec.decode_body(raw) for name, raw in told.items()} == table


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (codec.encode_body({str(one): None for one in range(65)}), "at most 64 names, this one has 65"),
        (codec.encode_body({str(one): None for one in range(70_000)}), "at most 64 names, this one has 70,000"),
        (b"\xdf\xff\xff\xff\xff", "at most 64 names, this one has 4,294,967,295"),
        (codec.encode_body({5: 1}), "Expected `str`"), (codec.encode_body([1]), "not a table"),
        (b"\x81\xa1\xff\xc0", "not a table"),
        (b"", "not a table"), (b"\x81\xa1a\xa2b", "not a table"), (b"\x81\xa1a" + b"\x91" * 500_000, "not a table"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_arguments_is_told_so(frame: bytes, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        codec.decode_table(frame)


def test_a_body_has_so_many_bytes_and_none_more_on_both_ways() -> None:
    body = codec.encode_body(b"x" * (limits.BODY_MAX - 5))
    assert len(body) == limits.BODY_MAX
    assert codec.decode_body(body) == b"x" * (limits.BODY_MAX - 5)
    with pytest.raises(CodecError, match="a body is at most 1048576 bytes, this one has 1048577: send it as chunks"):
        codec.encode_body(b"x" * (limits.BODY_MAX - 4))
    with pytest.raises(CodecError, match="a body is at most 1048576 bytes, this one has 1048577"):
        codec.decode_body(body + b"x")


@pytest.mark.parametrize(("size", "why"), [(limits.HEADER_MAX, "not a header"), (limits.HEADER_MAX + 1, "is at most")])
def test_of_a_header_that_is_too_long_no_byte_is_read(size: int, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        codec.decode_from_run(bytes(size))


@pytest.mark.parametrize(("size", "read"), [(limits.ARGUMENTS_MAX, True), (limits.ARGUMENTS_MAX + 1, False)])
def test_a_large_body_within_another_is_not_read_but_is_one_whole_value(size: int, read: bool) -> None:
    body = b"\xc6" + (size - 5).to_bytes(4) + b"x" * (size - 5)
    assert isinstance(codec.checked(body), bytes) is read
    with pytest.raises(CodecError):
        codec.checked(body[:-1])
    with pytest.raises(CodecError):
        codec.checked(body + b"\xc0")


def test_nothing_at_all_is_no_arguments() -> None:
    assert codec.decode_table(codec.NIL) == {}


class _Result(msgspec.Struct, frozen=True):
    value: object
    cost: float | None


def test_a_value_that_is_too_deep_for_a_second_look_is_told_all_the_same() -> None:
    value: object = None
    for _ in range(700):
        value = [value]
    assert codec.as_json(value) == b"[" * 700 + b"null" + b"]" * 700


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
        (
            {"a": [float("nan"), -float("inf")], "b": (float("inf"), None)},
            '{"a":["NaN","-Infinity"],"b":["Infinity",null]}',
        ),
        ({None: float("nan")}, '{"None":"NaN"}'),
        (_Result(value={"a": float("nan")}, cost=1.5), '{"value":{"a":"NaN"},"cost":1.5}'),
        (_Result(value={None: 1}, cost=None), '{"value":{"None":1},"cost":null}'),
        (_Result(value="NaN is null", cost=None), '{"value":"NaN is null","cost":null}'),
    ],
)
def test_a_value_is_told_in_these_words(value: object, told: str) -> None:
    assert codec.as_json(value).decode() == told


def test_a_value_that_can_just_be_told_is_told_with_what_is_no_number() -> None:
    value: object = [None, float("nan")]
    for _ in range(400):
        value = [value]
    told = codec.as_json(codec.decode_body(codec.encode_body(value)))
    assert told.strip(b"[]") == b'null,"NaN"'


def test_a_value_that_lies_deep_within_itself_is_no_error() -> None:
    value: object = {None: 1}
    for _ in range(100_000):
        value = [value]
    levels = b"[" * 100_000 + b'{"None":1}' + b"]" * 100_000
    assert codec.as_json(value) in (
        b'"it is nested too deeply to be shown"',
        levels,
    )  # Python 3.14 goes as deep as its stack
