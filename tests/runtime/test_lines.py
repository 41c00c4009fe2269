"""The line protocol: every message is read as it is written, nothing else is, and docs/command.md tells of each."""

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import lines
from runtime.errors import CallFailed
from runtime.lines import LineInvalid
from tests.nested import nested
from wire.amounts import Cost
from wire.errors import CodecError

PAGE = (Path(__file__).parents[2] / "docs" / "command.md").read_text()
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | NUMBERS | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=12,
).filter(lambda value: not (isinstance(value, dict) and set(value) == {"$bytes"}))


@given(VALUES)
def test_a_value_goes_to_the_program_and_back_unchanged(value: object) -> None:
    line = lines.encode(lines.Done(id=1, value=value))
    assert line.count(b"\n") == 1
    back = lines.decode(line)
    assert isinstance(back, lines.Done)
    assert back.value == value


def test_bytes_are_base64_in_values_and_in_pieces() -> None:
    told = json.loads(lines.encode(lines.Done(id=1, value=[b"hi"])))
    assert told["value"] == [{"$bytes": base64.b64encode(b"hi").decode()}]
    assert lines.decode(b'{"type":"chunk","id":1,"piece":"aGk="}') == lines.Chunk(id=1, piece=b"hi")


def test_a_value_that_no_line_can_tell_is_refused_as_such() -> None:
    no_numbers = (float("nan"), [float("inf")])
    no_bytes = ({"$bytes": "!!"}, [{"$bytes": "aGk="}])  # the one would end the run of whoever says it back
    no_names = ({1: "a", "1": "b"}, [{b"a": 1}], {None: 1}, {True: 1})  # no texts: two could become the same one
    no_types = (msgspec.msgpack.Ext(5, b"x"), datetime.now(UTC))  # the second is how msgpack's own extension is read
    for value in (nested(), *no_types, *no_names, *no_numbers, *no_bytes):
        with pytest.raises(CodecError, match="JSON cannot hold"):
            lines.encode(lines.Done(id=1, value=value))
        told = json.loads(lines.encode_end(1, CallFailed("sorry", "It cannot be.", {"why": value})))
        assert (told["code"], told["text"], told["detail"]) == ("sorry", "It cannot be.", {})


def test_what_may_be_left_out_is_what_the_page_does_not_print_bold() -> None:
    assert lines.decode(b'{"type":"call","id":1,"method":"a.b"}') == lines.Call(id=1, method="a.b")
    cost = b'{"type":"done","id":1,"cost":{"tokens":1,"micro_dollars":2}}'
    assert lines.decode(cost) == lines.Done(id=1, cost=Cost(tokens=1, micro_dollars=2))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello\n", "malformed"),
        (b"[]\n", "Expected `object`"),
        (b"{}\n", "missing required field `type`"),
        (b'{"type":"hello"}\n', "Invalid value 'hello'"),
        (b'{"type":"ready","now":true}\n', "unknown field `now`"),
        (b'{"type":"done"}\n', "missing required field `id`"),
        (b'{"type":"chunk","id":1,"piece":"?"}\n', "base64"),
        (b'{"type":"done","id":1,"value":{"$bytes":"?"}}\n', "not base64"),
        (b'{"type":"log","event":"\xff"}\n', "utf-8"),
        (b'{"type":"done","id":1,"value":' + b"[" * 100_000, "while deserializing an object"),
        (b'{"type":"log","event":"x","level":"fatal"}\n', "Invalid enum value 'fatal'"),
    ],
)
def test_a_line_that_is_no_message_says_what_is_wrong(line: bytes, why: str) -> None:
    with pytest.raises(LineInvalid, match=f"(?i){re.escape(why)}") as wrong:
        lines.decode(line)
    assert len(str(wrong.value)) < 400


@given(st.binary(max_size=40))
def test_any_line_is_read_or_refused(line: bytes) -> None:
    with pytest.raises(LineInvalid):
        lines.decode(line)


@pytest.mark.parametrize(("heading", "messages"), [("bridge", lines.ToProgram), ("program", lines.FromProgram)])
def test_the_page_tells_of_every_message_and_field(heading: str, messages: object) -> None:
    section = PAGE.split(f"## From the {heading}\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \| ", section, re.MULTILINE))
    told = {kind.__struct_config__.tag: kind for kind in get_args(messages)}
    assert rows.keys() == told.keys()
    for tag, kind in told.items():
        fields = msgspec.structs.fields(kind)
        named = [name for name in re.findall(r"`(\w+)`", rows[tag]) if name in {field.name for field in fields}]
        assert sorted(named) == sorted(field.name for field in fields), tag
        if heading == "program":
            bold = re.findall(r"\*\*`(\w+)`\*\*", rows[tag])
            assert bold == [field.name for field in fields if field.required], tag
