"""A recording tells what the tape did, in lines that people can read; what is none is named by its line."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import codec, headers
from wire.amounts import Cost, Used
from wire.errors import CodecError
from wire.labels import plain
from wire.recording import read, to_lines
from wire.tape import ASKED_MOST, Began, Ended, Heard, Record, asked

BEGAN = Began(
    run="r-0000000000000000", hand="h-0000000000000000", name="walker", version="1.0.0", seal="5" * 64, clock=0,
    inputs=codec.encode_body({"steps": 3}), work=12, caller="operator", chain=(("operator", ""),), labels=("web",),
    most=Cost(micro_dollars=1, tokens=2), settings={"pace": 0.5},
)  # fmt: skip

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
bodies = st.builds(codec.encode_body, values) | st.binary(max_size=20)
numbers = st.integers(0, 2**53 - 1)
labels = st.lists(st.text(min_size=1, max_size=8).map(plain), max_size=3).map(tuple)
texts = st.text(max_size=20)
costs = st.none() | st.builds(Cost, micro_dollars=numbers, tokens=numbers)
told = (
    st.builds(headers.Call, number=numbers, method=texts, resource=texts, deadline=st.integers(0, 1000), most=costs)
    | st.builds(headers.Done, number=numbers, labels=labels, cost=costs, used=st.none() | st.builds(Used, fuel=numbers))
    | st.builds(headers.Failed, number=numbers, code=st.text(min_size=1, max_size=8), text=texts, time=numbers)
    | st.builds(headers.Refused, number=numbers, code=st.just("grant"), why=texts, grant=texts)
    | st.builds(headers.Cancelled, number=numbers, why=texts)
    | st.builds(headers.Event, event=texts, labels=labels, missed=numbers)
    | st.builds(headers.Chunk, number=numbers, labels=labels, last=st.booleans())
    | st.builds(headers.Credit, number=numbers, chunks=st.integers(1, 8))
)  # fmt: skip
records = (
    st.builds(asked, number=numbers, kind=st.sampled_from(["call", "publish"]), on=texts, resource=texts, body=bodies)
    | st.builds(asked, number=numbers, kind=st.just("call"), on=texts, body=st.just(bytes(ASKED_MOST + 1)))
    | st.builds(Heard, header=told.map(codec.encode), body=bodies)
    | st.builds(Heard, header=told.map(codec.encode), secret=st.just(True))
    | st.builds(Ended, header=told.map(codec.encode), body=bodies, labels=labels)
)


def text_of(*rest: Record) -> str:
    return "".join(f"{line}\n" for line in to_lines([BEGAN, *rest], seed=7, hash_seed=9))


@given(st.lists(records, max_size=4))
def test_what_was_written_is_read(rest: list[Record]) -> None:
    found = read(text_of(*rest))
    assert found.records == (BEGAN, *rest)
    assert (found.seed, found.hash_seed) == (7, 9)
    assert [one.record for one in found.placed()] == [BEGAN, *rest]


def test_bodies_stand_there_as_their_values() -> None:
    line = text_of(asked(number=1, kind="call", on="a.b", body=codec.encode_body({"text": "hi"}))).splitlines()[1]
    assert msgspec.json.decode(line) == {"asked": {"number": 1, "kind": "call", "on": "a.b"}, "body": {"text": "hi"}}
    one = asked(number=1, kind="call", on="a.b", body=codec.encode_body(b"hi"))
    assert read(text_of(one)).records[1:] == (one,)
    line = text_of(one).splitlines()[1]
    assert msgspec.json.decode(line) == {"asked": {"number": 1, "kind": "call", "on": "a.b"}, "text": "hi"}


def test_a_body_that_held_secrets_is_not_there() -> None:
    header = codec.encode(headers.Done(number=1))
    assert '"secret":true' in text_of(Heard(header=header, secret=True))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", "line 3"),
        ("[]", "line 3"),
        ('{"asked":{"number":-1,"kind":"call","on":"x","extra":1}}', "line 3"),
        ('{"heard":{"type":"nothing"}}', "line 3"),
        ('{"heard":{"type":"done"}}', "line 3"),
        ('{"heard":{"type":"done","number":1,"more":2}}', "done has no more"),
        ('{"body":1}', "neither asked, heard nor ended"),
        ('{"asked":{"number":1,"kind":"call","on":"x"},"bytes":"?"}', "line 3"),
    ],
)
def test_a_line_that_is_none_is_named(line: str, named: str) -> None:
    text = text_of(asked(number=1, kind="call", on="a.b")) + line + "\n"
    with pytest.raises(CodecError, match=named):
        read(text)


@pytest.mark.parametrize("text", ["", "{}", text_of().replace('"format":1', '"format":2')])
def test_a_file_that_is_no_recording_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="line 1"):
        read(text)


@pytest.mark.parametrize(
    "body",
    [
        b"\x81\xc0\x01", b"\x81\x91\x01\x01", b"\xd4\x05\x00", b"\x91" * 900 + b"\xc0",
        b"\xc5\x00\x01a", b"\xd9\x01a", b"\xc4\x01\xff",  # spelled in another way than we do, and no text
    ],
)  # fmt: skip
def test_a_body_that_no_json_can_tell_is_kept_byte_for_byte(body: bytes) -> None:
    one = asked(1, "call", "a.b", body=body)
    assert read(text_of(one)).records[1:] == (one,)
