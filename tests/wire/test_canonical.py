"""Canonical JSON: the published samples of RFC 8785 that lie in our part of JSON, and refusal of what lies outside."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import canonical
from wire.errors import CodecError, Unencodable

# Inputs and outputs of the RFC's author's test data (cyberphone/json-canonicalization, testdata/), where they hold no
# fraction, no exponent and no key outside of ASCII; "values" without its numbers, "weird" with other keys for these.
PUBLISHED = {
    "arrays": ('[56, {"d": true, "10": null, "1": [ ]}]', '[56,{"1":[],"10":null,"d":true}]'),
    "simpleString": ('"this is a test string 1235"', '"this is a test string 1235"'),
    "structures": (
        '{"1": {"f": {"f": "hi","F": 5} ,"\\n": 56}, "10": { }, "": "empty", "a": { }, "111": [ { } ], "A": { } }',
        '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}',
    ),
    "unicode": ('{"Unnormalized Unicode":"\\u1e0d\\u0307"}', '{"Unnormalized Unicode":"\u1e0d\u0307"}'),
    "values": (
        '{"escaping": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/", "literals": [null, true, false]}',
        '{"escaping":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/","literals":[null,true,false]}',
    ),
    "weird": (
        '{"1": "One", "b": "Control\\u007f", "a": "\\ud83d\\ude02", "</script>": "Browser Challenge"}',
        '{"1":"One","</script>":"Browser Challenge","a":"\U0001f602","b":"Control\x7f"}',
    ),
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="ascii")), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_samples_come_out_byte_for_byte(name: str) -> None:
    given_text, wanted = PUBLISHED[name]
    assert canonical.encode(json.loads(given_text)) == wanted.encode()


def test_the_short_escapes_are_the_seven_of_the_rfc_and_the_rest_are_lower_case_hex() -> None:
    wanted = r'"\u0000\u0001\u0007\b\t\n\u000b\f\r\u001f\"\\/"'
    assert canonical.encode('\x00\x01\x07\b\t\n\x0b\f\r\x1f"\\/') == wanted.encode()


def test_a_struct_is_spelled_like_the_dict_of_its_fields() -> None:
    class Pair(msgspec.Struct):
        zebra: int
        ant: tuple[str, ...]

    assert canonical.encode({"b": Pair(zebra=1, ant=("x",))}) == b'{"b":{"ant":["x"],"zebra":1}}'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        b"bytes",
        {1, 2},
        {"é": 1},
        {1: "a"},
        [[1.5]],
        {"a": {"b": 0.1}},
        "\ud800",
        pytest.param(object(), id="an object"),
    ],
    ids=repr,
)
def test_what_has_no_canonical_form_here_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        canonical.encode(value)
    assert isinstance(caught.value, Unencodable)


def nested(depth: int) -> object:
    value: object = []
    for _ in range(depth):
        value = [value]
    return value


def test_the_deepest_permitted_value_comes_back_and_a_deeper_one_is_refused() -> None:
    deepest = nested(canonical.DEPTH - 1)
    assert canonical.decode(canonical.encode(deepest)) == deepest
    with pytest.raises(Unencodable, match="deep"):
        canonical.encode(nested(canonical.DEPTH))


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'"\\u0041"',
        b'"\\/"',
        b"1.0",
        b"1e3",
        b"-0",
        b"9007199254740992",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"[" * 100_000,
        b"[" * 40 + b"]" * 40,
        b"",
        b"nul",
        '{"é":1}'.encode(),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_hostile_or_second_spellings_are_codec_errors(data: bytes) -> None:
    with pytest.raises(CodecError):
        canonical.decode(data)


@given(json_values)
def test_every_value_comes_back_and_agrees_with_the_standard_library(value: object) -> None:
    line = canonical.encode(value)
    assert canonical.decode(line) == value
    assert line == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_codec_error(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except CodecError:
        return
    assert canonical.encode(value) == data
