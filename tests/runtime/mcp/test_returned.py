"""What a method says that it returns is its tool's output schema, and what it answers is held to that before a client is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runtime.calls import Reply
from runtime.mcp import answers
from runtime.mcp.offers import Row, offers_of
from runtime.mcp.returned import misfit, schema_of

RETURNS = {
    "title": "string", "size": "int", "share": "float?", "is_new": "bool", "raw": "bytes?", "rows": "list?", "by": "dict?",
    "value": "any", "took": "duration?",
}  # fmt: skip
WHOLE: dict[str, Any] = {"title": "a", "size": 1, "is_new": True, "value": None}


def test_what_it_returns_is_the_tools_output_schema_and_where_nothing_is_said_there_is_none() -> None:
    rows = [
        Row(method="lab.do", summary="Do it", resource="none", effect="read", returns={"n": "int", "why": "string?"}),
        Row(method="lab.go", summary="Go", resource="none", effect="read"),
        Row(method="mcp-x.do", summary="Do it", resource="none", effect="read", returns={"text": "string?"}),
    ]
    found = {name: one.tool.output_schema for name, one in offers_of(rows, (), {}).items()}
    assert found["lab_go"] is found["mcp-x_do"] is None
    schema = found["lab_do"] or {}
    assert (schema["type"], schema["required"]) == ("object", ["n"])
    assert schema["properties"] == {
        "n": {"type": "integer"},
        "why": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"share": 1},
        {"share": 0.5, "raw": "AA==", "rows": [1], "by": {"a": 1}},
        {"share": None},
        {"more": "than said"},
    ],
)
def test_an_answer_that_is_as_it_was_said_is_let_through(more: dict[str, Any]) -> None:
    assert misfit(RETURNS, {**WHOLE, **more}) == ""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "it is not a table"),
        ({}, "it holds no title"),
        ({**WHOLE, "title": None}, "its title is not of the type string"),
        ({**WHOLE, "size": 1.5}, "its size is not of the type int"),
        ({**WHOLE, "size": True}, "its size is not of the type int"),
        ({**WHOLE, "is_new": 1}, "its is_new is not of the type bool"),
        ({**WHOLE, "rows": {}}, "its rows is not of the type list"),
    ],
)
def test_an_answer_that_is_not_is_told_why(answer: dict[str, Any] | None, why: str) -> None:
    assert misfit(RETURNS, answer) == why


_VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_ANSWERS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from([*sorted(RETURNS), "other"]), _VALUES | st.lists(_VALUES) | st.just({})
)


@given(_ANSWERS)
def test_whatever_is_let_through_is_valid_for_a_client_that_checks(answer: dict[str, Any]) -> None:
    if not misfit(RETURNS, whole := {**WHOLE, **answer}):
        assert Draft202012Validator(schema_of(RETURNS)).is_valid(whole)


def test_an_answer_that_is_not_as_was_said_is_an_error_with_the_whole_answer_in_it() -> None:
    told = answers.of_reply("lab.do", "", Reply(value={"n": "one"}), b"", {"n": "int"})
    assert (told.is_error, told.structured_content) == (True, None)
    texts = [block.text for block in told.content if block.type == "text"]
    assert texts == [
        "lab.do is done, but its answer does not match its output schema: its n is not of the type int. The answer:",
        '{"n":"one"}',
    ]
    assert (told.meta or {})["maniple/end"] == "done"
