"""What is told of a server's schemas: what they say, bounded, in order, and never more than they say."""

import json
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from manifests import schemas
from manifests.capabilities.spelling import oddity
from manifests.check import LONGEST, check
from manifests.mcp.folder import Wanted, manifest_of, to_toml, with_earlier_methods
from manifests.mcp.shapes import ALL_MOST, MOST, shapes_of
from manifests.mcp.tools import Offer, Tool
from manifests.mcp.words import params_of
from runtime.models.schemas import find_fault

WANTED = Wanted(name="clock", command=("python3", "server.py"))


def _told(whole: dict[str, Any], room: int = MOST) -> dict[str, Any]:
    tool = Tool(name="do", input_schema=whole)
    return shapes_of(tool, params_of(tool), room)


def _of(row: object, *required: str, **more: object) -> Any:
    """What is told of one property."""
    return _told({"properties": {"x": row}, "required": list(required), **more}).get("x", {})


def _hand(*tools: Tool) -> dict[str, dict[str, Any]]:
    toml = to_toml(manifest_of(WANTED, Offer(server="s", version="1", tools=tools)), tomli_w.dumps)
    assert len(toml) <= LONGEST
    return {method: one.schemas for method, one in check(toml).provides.items()}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"type": "string"}, {}),
        ({"type": "string", "enum": ["a", "b"]}, {"enum": ["a", "b"]}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"type": "string", "default": "b", "minLength": 1}, {"default": "b", "minLength": 1}),
        ({"type": "array", "items": {"type": "integer"}}, {"items": {"type": "integer"}}),
        ({"type": "array"}, {}),
        (
            {"type": "array", "items": {"type": "array", "minItems": 2}},
            {"items": {"type": "array", "minItems": 2, "items": {}}},
        ),
        ({"anyOf": [{"type": "string", "description": "D"}, {"type": "null"}]}, {"description": "D"}),
        ({"allOf": [{"type": "string", "description": "D"}], "description": "E"}, {"type": "string", "description": "E"}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": ["string", "integer", "null"]}, {"type": ["string", "integer"]}),
        ({"type": "string", "description": "Day", "format": "date"}, {"description": "Day. Format: date."}),
        ({"type": "string", "pattern": "^a+$"}, {"description": "Pattern: ^a+$."}),
        ({"type": "string", "description": "a\n\u202eb"}, {"description": "a \\u{202e}b"}),
        ({"type": "string", "enum": ["a", "\u202e"]}, {"description": "One of 2 values, such as a."}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"additionalProperties": {"type": "integer"}}),
        ({"minimum": float("inf"), "exclusiveMinimum": True, "minLength": -1, "default": None, "type": 7}, {}),
        (True, {}),
        ({"$ref": "https://example.org/x"}, {}),
    ],
)  # fmt: skip
def test_a_property_is_told_as_its_schema_says(row: object, told: object) -> None:
    assert _of(row) == told


def test_fields_are_told_with_those_that_must_be_given() -> None:
    row = {
        "type": "object", "required": ["b", "gone"], "additionalProperties": False,
        "properties": {"a": {"type": ["integer", "null"]}, "b": {"enum": ["x", None], "type": ["string", "null"]}},
    }  # fmt: skip
    assert _of(row) == {
        "properties": {
            "b": {"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "null"}]}, "a": {"type": ["integer", "null"]},
        },
        "required": ["b"],
        "additionalProperties": False,
    }  # fmt: skip


def test_a_table_of_which_a_field_cannot_be_named_says_nothing_of_further_ones() -> None:
    row = {"type": "object", "properties": {"ok": {}, "not this": {}}, "additionalProperties": False}
    assert _of(row) == {"properties": {"ok": {}}}


def test_null_is_told_where_what_must_be_given_may_be_it() -> None:
    assert _of({"type": ["string", "null"]}, "x") == {"type": ["string", "null"]}


def test_references_are_put_in_and_one_to_what_it_stands_in_is_told() -> None:
    node = {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}}}
    told = _of({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}})
    assert told["properties"]["v"] == {"type": "integer"}
    assert told["properties"]["next"] == {"description": "The same again as that which it is in."}


def test_what_is_large_deep_or_without_end_is_told_in_part() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(800):
        deep = {"type": "object", "properties": {"x": deep}, "description": "words " * 100}
    levels = {
        f"L{at}": {"type": "object", "properties": {one: {"$ref": f"#/$defs/L{at + 1}"} for one in "abcdefghij"}}
        for at in range(40)
    }
    wide = {f"p{at}": {"type": "string", "description": "word " * 100} for at in range(300)}
    whole = {
        "properties": {"deep": deep, "bomb": {"$ref": "#/$defs/L0"}, "few": {"enum": ["a"]}, **wide},
        "$defs": levels,
    }
    told = _told(whole)
    assert told["few"] == {"enum": ["a"]}
    assert schemas.size(told) <= MOST


def test_an_enum_too_long_is_told_by_how_it_begins() -> None:
    told = _of({"type": "string", "enum": [f"c{at}" for at in range(250)], "description": "A land"})
    assert told == {"description": "A land. One of 250 values, such as c0, c1, c2, c3, c4."}


def test_all_tools_of_a_server_share_their_room_and_what_fitted_without_schemas_fits() -> None:
    row = {"type": "object", "properties": {f"f{at}": {"type": "string", "description": "w " * 90} for at in range(9)}}
    whole: dict[str, object] = {"type": "object", "properties": {"x": row}}
    tools = [Tool(name=f"do{at}", description="d" * 480, input_schema=whole) for at in range(160)]
    few, many = _hand(*tools[:5]), _hand(*tools)
    assert few["mcp-clock.do0"]["x"]["properties"]["f0"]["description"]
    assert sum(map(schemas.size, _hand(*tools[:60]).values())) <= ALL_MOST
    assert many["mcp-clock.do0"] == {}


def test_a_server_that_could_not_be_asked_keeps_what_is_told_of_its_tools() -> None:
    tool = Tool(name="do", input_schema={"properties": {"x": {"enum": ["a", 'b"\\']}}})
    before = check(to_toml(manifest_of(WANTED, Offer(tools=(tool,))), tomli_w.dumps))
    tables = with_earlier_methods(manifest_of(WANTED, Offer()), before.provides)
    assert check(to_toml(tables, tomli_w.dumps)).provides["mcp-clock.do"].schemas == {"x": {"enum": ["a", 'b"\\']}}


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_words = st.sampled_from([*schemas.WORDS, "$ref", "allOf", "oneOf", "const", "format", "pattern"])
_types = st.sampled_from([*schemas.TYPES, "date", ["string", "null"], ["array", "object"], 5])
_rows = st.recursive(
    _leaves,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": _types, "properties": st.dictionaries(st.text(max_size=5) | st.sampled_from("ab"), inner, max_size=3),
            "items": inner, "anyOf": st.lists(inner, max_size=3), "oneOf": st.lists(inner, max_size=2), "allOf": inner,
            "additionalProperties": inner, "required": st.lists(st.sampled_from("ab") | _leaves, max_size=3),
            "enum": st.lists(_leaves, max_size=4) | inner, "const": _leaves, "default": _leaves, "description": _leaves,
            "$ref": st.sampled_from(["#/properties/a", "#/properties/b", "#/properties/b/items", "#", 5]),
            "minimum": _leaves, "maxLength": _leaves, "format": _leaves,
        },
    ) | st.dictionaries(_words, inner, max_size=2),
    max_leaves=12,
)  # fmt: skip


@given(a=_rows, b=_rows)
def test_whatever_a_schema_is_what_is_told_of_it_is_in_order(a: object, b: object) -> None:
    whole: dict[str, object] = {"type": "object", "properties": {"a": a, "b": b}, "required": ["a"]}
    found = _hand(Tool(name="do", input_schema=whole))["mcp-clock.do"]
    assert schemas.find_faults(found) == {}
    assert schemas.size(found) <= MOST
    assert not oddity(json.dumps(found, ensure_ascii=False))
    for schema in found.values():
        assert find_fault(schema) == ""
