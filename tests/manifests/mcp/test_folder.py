"""What the tools of an MCP server become: methods, params, types and words that are ours, and a Hand that is in order."""

from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from manifests.capabilities.spelling import oddity
from manifests.check import check
from manifests.grants import is_method
from manifests.mcp.folder import Wanted, make_agreement, manifest_of
from manifests.mcp.tools import Login, Offer, OfferInvalid, Tool, changed_tools, encode, read_agreement, read_offer
from manifests.mcp.words import methods_of, params_of, summary_of, visible
from manifests.names import is_field
from manifests.schema import Manifest

PROGRAM = Wanted(name="clock", command=("python3", "server.py"))


def a_tool(name: str = "do", description: str = "Do it.", *required: str, **properties: object) -> Tool:
    schema: dict[str, object] = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(name=name, description=description, input_schema=schema)


def the_hand(wanted: Wanted, *tools: Tool, resources: bool = False, prompts: bool = False) -> Manifest:
    offer = Offer(server="s", version="1", tools=tools, resources=resources, prompts=prompts)
    return check(tomli_w.dumps(manifest_of(wanted, offer)))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("add", "add"),
        ("read_file", "read-file"),
        ("readTheFile", "read-the-file"),
        ("fs/read.all", "fs-read-all"),
        ("2fast", "n-2fast"),
        ("__", "tool"),
        ("\x1b[31m", "n-31m"),
        ("löschen", "l-schen"),
        ("tools.list", "tools-list-2"),
        ("x" * 300, "x" * 56),
    ],
)
def test_a_name_becomes_a_method(name: str, word: str) -> None:
    assert list(methods_of((a_tool(name),))) == [word]
    assert is_method(f"mcp-clock.{word}")


def test_names_that_come_to_the_same_are_numbered_and_one_told_twice_is_one() -> None:
    tools = [a_tool(name) for name in ("Read", "read", "re ad", "re-ad", "read")]
    assert {word: tool.name for word, tool in methods_of(tools).items()} == {
        "read": "Read", "read-2": "read", "re-ad": "re ad", "re-ad-2": "re-ad",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "of_type"),
    [
        ({"type": "string"}, "string?"),
        ({"type": "integer"}, "int?"),
        ({"type": "number"}, "float?"),
        ({"type": "boolean"}, "bool?"),
        ({"type": "array"}, "list?"),
        ({"type": "object"}, "dict?"),
        ({"type": ["string", "null"]}, "string?"),
        ({"type": ["string", "integer"]}, "any?"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "int?"),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, "any?"),
        ({"enum": ["a", "b"]}, "string?"),
        ({"enum": [1, "b"]}, "any?"),
        ({"$ref": "#/$defs/Thing"}, "dict?"),
        ({"$ref": "#/$defs/Loop"}, "any?"),
        ({"$ref": "https://example.org/x"}, "any?"),
        ({"$ref": "##$defs/Thing"}, "any?"),
        ({"$ref": "#/$defs/Thing/type/0"}, "any?"),
        ({"$ref": "#/required/0"}, "any?"),
        ({}, "any?"),
        (True, "any?"),
        (7, "any?"),
        ({"type": {"a": 1}}, "any?"),
    ],
)
def test_a_schema_becomes_a_type_and_any_where_there_is_none(schema: object, of_type: str) -> None:
    tool = a_tool("do", "", value=schema)
    tool.input_schema["$defs"] = {"Thing": {"type": "object"}, "Loop": {"$ref": "#/$defs/Loop"}}
    assert params_of(tool).types == {"value": of_type}


def test_what_is_required_comes_first_and_may_be_null_only_as_any() -> None:
    tool = a_tool("do", "", "b", "c", a={"type": "string"}, b={"type": "string"}, c={"type": ["string", "null"]})
    assert list(params_of(tool).types.items()) == [("b", "string"), ("c", "any"), ("a", "string?")]


def test_odd_names_of_properties_are_ours_and_theirs_are_kept() -> None:
    odd = ("fileName", "from", "self", "$ref", "file_name", "", "Ü")
    taken = params_of(a_tool("do", "", **{name: {"type": "string"} for name in odd}))
    assert tuple(taken.theirs.values()) == odd
    assert list(taken.theirs) == ["file_name", "from_", "self_", "ref", "file_name_2", "param", "param_2"]


def test_a_schema_without_properties_takes_all_arguments_at_once_unless_it_allows_none() -> None:
    assert params_of(Tool(name="do", input_schema={"type": "object"})).theirs == {"arguments": ""}
    closed: dict[str, object] = {"type": "object", "additionalProperties": False}
    assert params_of(Tool(name="do", input_schema=closed)).types == {}
    assert params_of(a_tool()).types == {}


def test_what_hides_in_a_description_is_seen() -> None:
    said = summary_of(a_tool("do", "Do\x1b[2J\n it\u202e. ", x={"description": "How\u200b many."}))
    assert said == "Do\\u{1b}[2J it\\u{202e}. Params: x: How\\u{200b} many."
    assert len(summary_of(a_tool("do", "x" * 10_000))) == 500
    assert summary_of(a_tool("do", "Do it.", x={"type": "string"})) == "Do it."


def test_every_tool_is_external_until_the_operator_says_otherwise() -> None:
    wanted = Wanted(name="clock", command=("python3",), effects={"see": "read", "resources.read": "read"})
    hints: dict[str, object] = {"readOnlyHint": True}
    provides = the_hand(wanted, a_tool("see"), Tool(name="act", hints=hints), resources=True, prompts=True).provides
    assert {name.partition(".")[2]: one.effect for name, one in provides.items()} == {
        "see": "read", "act": "external", "tools.list": "read", "resources.list": "read", "resources.read": "read",
        "prompts.list": "read", "prompts.get": "external",
    }  # fmt: skip
    everything = Wanted(name="clock", command=("python3",), effects={"*": "write"})
    assert the_hand(everything, a_tool("see")).provides["mcp-clock.see"].effect == "write"


@pytest.mark.parametrize(
    ("login", "words"),
    [(None, []), (Login(), ["auth.login", "auth.logout"]), (Login(client="c", is_alone=True), ["auth.logout"])],
)
def test_to_log_in_or_out_is_a_question_to_the_operator_each_time(login: Login | None, words: list[str]) -> None:
    wanted = Wanted(name="clock", url="https://a.example/mcp", login=login, effects={"do": "read"})
    rows = {name.partition(".")[2]: one for name, one in the_hand(wanted, a_tool()).provides.items()}
    assert [name for name in rows if name.startswith("auth.")] == words
    assert [name for name, one in rows.items() if one.asks] == words
    assert all(rows[name].effect == "external" for name in words)


def test_it_asks_for_nothing_but_the_hosts_it_was_given() -> None:
    assert the_hand(PROGRAM, a_tool()).capabilities == ()
    (one,) = the_hand(Wanted(name="clock", command=("python3",), hosts=("a.example.org:443",))).capabilities
    assert (one.method, one.allow, one.own) == ("web.connect", ("a.example.org:443",), True)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Wanted(name="clock", command=("python3",), only=("see",)), "offers no tool see"),
        (Wanted(name="clock", command=("python3",), effects={"see": "read"}), "no tool see to have an effect"),
        (Wanted(name="clock", command=("python3",), effects={"do": "none"}), "'none' is not an effect"),
    ],
)
def test_what_names_nothing_is_refused(wanted: Wanted, why: str) -> None:
    with pytest.raises(OfferInvalid, match=why):
        manifest_of(wanted, Offer(tools=(a_tool(),)))


def test_more_tools_than_a_hand_can_hold_are_told_so() -> None:
    with pytest.raises(OfferInvalid, match="for 1000 tools would be larger than 128 KiB: take some of its tools"):
        the_hand(PROGRAM, *(a_tool(f"tool{number}", "x" * 500) for number in range(1000)))
    assert len(the_hand(PROGRAM, *(a_tool(f"tool{number}", "x" * 200) for number in range(200))).provides) == 201


def test_a_tool_that_changes_in_anything_a_caller_goes_by_is_another() -> None:
    old = a_tool("do", "Do it.", x={"type": "string"})
    agreed = make_agreement(PROGRAM, Offer(tools=(old,)))
    assert read_agreement(encode(agreed)) == agreed
    assert changed_tools(agreed, {"do": old}) == {}
    assert changed_tools(agreed, {"do": read_offer(encode(Offer(tools=(old,)))).tools[0]}) == {}
    for new in (
        a_tool("do", "Do it!", x={"type": "string"}),
        a_tool("do", "Do it.", x={"type": "integer"}),
        a_tool("do", "Do it.", "x", x={"type": "string"}),
        Tool(name="do", description="Do it.", input_schema=old.input_schema, output_schema={}),
    ):
        assert list(changed_tools(agreed, {"do": new})) == ["mcp-clock.do"]
    assert "does not offer" in changed_tools(agreed, {})["mcp-clock.do"]
    hinted = Tool(name="do", description="Do it.", input_schema=old.input_schema, hints={"readOnlyHint": True})
    assert changed_tools(agreed, {"do": hinted}) == {}


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"tools": 7}', b'{"tools": [{}]}', b"\xff", b"[" * 100_000])
def test_an_offer_that_cannot_be_read_is_told_so(raw: bytes) -> None:
    with pytest.raises(OfferInvalid):
        read_offer(raw)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_SCHEMA = st.dictionaries(st.sampled_from(("type", "properties", "required", "$ref", "anyOf", "enum")), _JSON)


@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=80), _SCHEMA), max_size=5), st.text(max_size=40))
def test_whatever_a_server_offers_the_hand_is_in_order(rows: list[tuple[str, str, dict[str, Any]]], who: str) -> None:
    tools = tuple(Tool(name=name, description=said, input_schema=schema) for name, said, schema in rows)
    offer = Offer(server=who, version=who, tools=tools, resources=True, prompts=True)
    manifest = check(tomli_w.dumps(manifest_of(PROGRAM, offer)))
    agreed = make_agreement(PROGRAM, offer)
    assert agreed.tools.keys() == {name for name in manifest.provides if name.count(".") == 1}
    for method, one in agreed.tools.items():
        assert one.params.keys() == manifest.provides[method].params.keys()
        assert all(map(is_field, one.params))
        assert not oddity(manifest.provides[method].summary)


@given(st.text())
def test_what_is_visible_hides_nothing(text: str) -> None:
    assert not oddity(visible(text))
