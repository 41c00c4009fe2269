"""Methods as tools: names that every provider takes, each its own; and arguments on the way back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from manifests.agent_task import TOOL_NAME
from manifests.check import check
from manifests.grants import is_method
from manifests.schema import Capability
from manifests.typed import split_type
from runtime.agent.actions import AskModel
from runtime.agent.machine import Machine
from runtime.agent.marks import Marks
from runtime.agent.tools import OWN, SERVERS_WORDS, TYPES, Offered, PreparedCall, Row, offer, prepare, that_fit
from tests.living import ROOT
from tests.runtime.agent.driven import BOUNDARY, BRIEF

methods = st.lists(
    st.from_regex(r"[a-z][a-z0-9]{0,40}(-[a-z0-9]{1,20}){0,2}(\.[a-z][a-z0-9]{0,30}){1,2}", fullmatch=True).filter(
        is_method
    ),
    unique=True,
    max_size=12,
)


@pytest.mark.wide
@given(methods)
def test_each_method_has_a_name_of_its_own_that_providers_take(given: list[str]) -> None:
    rows = [Row(method=method, summary="x", resource="none", effect="read") for method in [*given, "read.result"]]
    found = offer(rows, ())
    assert all(re.match(TOOL_NAME, name) for name in found)
    assert OWN.isdisjoint(found)
    wanted = {method for method in [*given, "read.result"] if not method.startswith(("kernel.", "model."))}
    assert {one.method for one in found.values()} == wanted


def _one(**params: str) -> Offered:
    (one,) = offer([Row(method="a.b", summary="x.", resource="path", effect="external", params=params)], ()).values()
    return one


def test_a_resource_whose_name_is_taken_is_called_resource() -> None:
    assert _one(path="string").resource_param == "resource"
    assert prepare(_one(path="string"), {"resource": "a", "path": "b"}) == PreparedCall(
        method="a.b", resource="a", arguments={"path": "b"}
    )


def test_a_resource_and_a_param_that_is_called_resource_are_two() -> None:
    one = _one(path="string", resource="string")
    assert one.tool.parameters["required"] == ["resource_", "path", "resource"]
    given = {"resource_": "a", "path": "b", "resource": "c"}
    assert prepare(one, given) == PreparedCall(method="a.b", resource="a", arguments={"path": "b", "resource": "c"})


def test_what_may_be_left_out_may_also_be_null() -> None:
    assert prepare(_one(size="int?"), {"path": "a", "size": None}) == PreparedCall(
        method="a.b", resource="a", arguments={}
    )


def test_bytes_come_as_base64() -> None:
    one = _one(body="bytes")
    assert prepare(one, {"path": "a", "body": "AP8="}) == PreparedCall(
        method="a.b", resource="a", arguments={"body": b"\x00\xff"}
    )
    for wrong in ("no!", "AP!8="):
        assert prepare(one, {"path": "a", "body": wrong}) == "`body` is not base64"


@pytest.mark.parametrize("path", [{}, {"path": None}, {"path": ""}, {"path": 5}, {"path": ["a"]}])
def test_a_resource_is_a_text_that_says_something(path: dict[str, object]) -> None:
    assert prepare(_one(), path) == "`path` is missing: it must be a text that is not empty"


def test_arguments_that_there_are_not_or_that_are_of_another_type_are_told() -> None:
    for wrong in ({"colour": None}, {"colour": "red"}, {"size": "large"}):
        told = prepare(_one(size="int?"), {"path": "a", **wrong})
        assert isinstance(told, str)
        assert next(iter(wrong)) in told


@pytest.mark.parametrize(
    ("allowed", "told"),
    [
        ([], "a path"),
        (["*"], "a path"),
        (["reports/**", "*"], "a path"),
        (["reports/**"], "a path; allowed: reports/**"),
        ([*"abcdef"], "a path; allowed: a, b, c, d, e, f"),
        ([*"abcdefg"], "a path; allowed: a, b, c, d, e, f, …"),
    ],
)
def test_a_resource_is_described_by_what_its_method_is_asked_for(allowed: list[str], told: str) -> None:
    row = Row(method="a.b", summary="x", resource="path", effect="write")
    capabilities = [Capability(method="a.c", allow=("secret",)), Capability(method="a.b", allow=tuple(allowed))]
    tool = offer([row], capabilities)["a_b"].tool
    assert tool.parameters["properties"] == {"path": {"type": "string", "description": told}}
    assert (tool.parameters["required"], tool.parameters["additionalProperties"]) == (["path"], False)
    assert tool.description == "x. It changes something on this machine."


def test_a_description_says_what_it_changes() -> None:
    assert _one().tool.description == "x. It acts beyond this machine."


def test_what_is_told_of_a_param_stands_beside_its_type() -> None:
    row = Row(
        method="a.b", summary="x", resource="none", effect="read", params={"of": "list", "key": "bytes?", "to": "any"},
        schemas={"of": {"items": {"type": "string"}}, "key": {"description": "A key"}, "to": {"type": ["string", "null"]}},
    )  # fmt: skip
    (one,) = offer([row], ()).values()
    assert one.tool.description == "x."
    assert one.tool.parameters["properties"] == {
        "of": {"type": "array", "items": {"type": "string"}},
        "key": {"type": "string", "description": "A key (base64)"},
        "to": {"type": ["string", "null"]},
    }
    assert one.bare.parameters["properties"] == {"of": TYPES["list"], "key": TYPES["bytes"], "to": {}}
    assert prepare(one, {"of": [5], "to": None}) == PreparedCall(
        method="a.b", resource="", arguments={"of": [5], "to": None}
    ), "nothing is checked against what is told"


def test_what_a_server_says_of_its_tool_is_said_to_be_its_words() -> None:
    row = Row(method="mcp-a.b", summary="x", resource="none", effect="read", params={"of": "string"}, labels=("mcp",))
    (plain,) = offer([row], ()).values()
    (told,) = offer([replace(row, schemas={"of": {"enum": ["a"]}})], ()).values()
    for tool in (plain.tool, plain.bare, told.tool, told.bare):
        assert tool.description == f"x.{SERVERS_WORDS}", "its summary is the server's too"
    for ours in (replace(row, labels=("web",)), replace(row, method="mcp-a.tools.list")):
        (own,) = offer([ours], ()).values()
        assert own.tool.description == "x."


def test_where_a_window_has_no_room_for_it_types_are_told_alone() -> None:
    row = Row(method="a.b", summary="x", resource="none", effect="read", params={"of": "string"})
    long = replace(row, method="a.c", schemas={"of": {"description": "word " * 90}})
    found = offer([row, long], ()).values()
    assert that_fit(found, 1_000) == tuple(one.tool for one in found)
    assert that_fit(found, 100) == tuple(one.bare for one in found)


def test_an_agent_asks_with_what_its_window_has_room_for() -> None:
    row = Row(method="a.c", summary="x", resource="none", effect="read", params={"of": "string"})
    found = offer([replace(row, schemas={"of": {"description": "word " * 300}})], ())
    for window, tool in ((32_000, found["a_c"].tool), (1_200, found["a_c"].bare)):
        (think,) = [
            one
            for one in Machine(replace(BRIEF, window=window), found, Marks(BOUNDARY)).begin("tidy up")
            if isinstance(one, AskModel)
        ]
        assert think.request.tools[-1] == tool


def test_of_what_a_bundled_method_takes_a_model_is_told_the_form_of_each_table_and_list() -> None:
    untold = []
    for file in (ROOT / "hands").glob("*/HAND.toml"):
        for one in check(file.read_text()).provides.values():
            if not one.method.startswith("model."):
                kinds = {name: split_type(of)[0] for name, of in one.params.items()}
                untold += [
                    f"{one.method} {name}"
                    for name, kind in kinds.items()
                    if kind in ("list", "dict", "any") and name not in one.schemas
                ]
    assert not untold
