"""What an MCP server answers, as values: nothing is lost without a word, and no answer is larger than a call can carry."""

import base64

import msgspec
import pytest
from mcp_types import CallToolResult, GetPromptResult, ReadResourceResult
from pydantic import ValidationError

from runtime.errors import Failure
from runtime.mcp import results
from wire.codec import encode_body


def a_result(*content: dict[str, object], **more: object) -> CallToolResult:
    return CallToolResult.model_validate({"content": list(content), **more})


def a_text(text: str) -> dict[str, object]:
    return {"type": "text", "text": text}


def an_image(raw: bytes) -> dict[str, object]:
    return {"type": "image", "mimeType": "image/png", "data": base64.b64encode(raw).decode()}


def test_texts_are_one_text_and_all_else_is_parts() -> None:
    link: dict[str, object] = {"type": "resource_link", "uri": "file:///a", "name": "a"}
    inside: dict[str, object] = {
        "type": "resource",
        "resource": {"uri": "note://b", "mimeType": "text/plain", "text": "hi"},
    }
    value = results.of_tool(a_result(a_text("one"), an_image(b"\x89PNG"), a_text("two"), link, inside))
    assert value == {
        "text": "one\ntwo",
        "parts": [
            {"type": "image", "mime": "image/png", "data": b"\x89PNG"},
            {"type": "link", "uri": "file:///a", "name": "a"},
            {"type": "resource", "uri": "note://b", "mime": "text/plain", "text": "hi"},
        ],
    }


def test_a_structure_is_kept_as_it_is_and_nothing_is_nothing() -> None:
    assert results.of_tool(a_result(structuredContent={"a": [1, None]})) == {"structured": {"a": [1, None]}}
    assert results.of_tool(a_result()) == {}


def test_a_tool_that_failed_fails_with_its_own_words_bounded() -> None:
    with pytest.raises(Failure, match="out of order") as caught:
        results.of_tool(a_result(a_text("out of order"), isError=True))
    assert caught.value.code == "tool"
    with pytest.raises(Failure) as caught:
        results.of_tool(a_result(a_text("x" * 5000), isError=True))
    assert len(caught.value.text) == 1000
    with pytest.raises(Failure, match="did not say why"):
        results.of_tool(a_result(isError=True))


@pytest.mark.parametrize(
    "content",
    [
        [a_text("ä" * 2_000_000)],
        [a_text("x" * 800_000), a_text("y" * 800_000)],
        [an_image(b"x" * 2_000_000)],
        [an_image(b"x" * 700_000), an_image(b"x" * 700_000)],
        [{"type": "resource_link", "uri": f"a://{'x' * 2_000_000}", "name": "n"}],
    ],
)
def test_what_is_too_large_is_cut_or_left_out_and_told(content: list[dict[str, object]]) -> None:
    value = results.of_tool(a_result(*content))
    assert value["cut"] is True
    encode_body(msgspec.to_builtins(value, builtin_types=(bytes,)))


def test_bytes_that_are_left_out_leave_their_size() -> None:
    value = results.of_tool(a_result(an_image(b"x" * 1_000_000)))
    assert value == {"parts": [{"type": "image", "mime": "image/png", "size": 1_000_000}], "cut": True}


def test_a_structure_too_deep_or_too_large_is_never_passed_on() -> None:
    deep: object = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(Failure, match="no call can carry"):
        results.of_tool(a_result(structuredContent=deep))
    with pytest.raises(Failure, match="no call can carry"):
        results.of_tool(a_result(structuredContent=2**70))
    assert results.of_tool(a_result(structuredContent="x" * 1_000_000)) == {"cut": True}


def test_bytes_that_are_no_base64_are_told_so() -> None:
    with pytest.raises(Failure, match="not base64"):
        results.of_tool(a_result({"type": "audio", "mimeType": "audio/wav", "data": "!"}))


def test_a_resource_of_one_text_is_a_text_and_each_of_its_parts() -> None:
    one = {"contents": [{"uri": "note://a", "text": "hi"}]}
    read = results.of_resource(ReadResourceResult.model_validate(one))
    assert read == {"text": "hi", "parts": [{"uri": "note://a", "text": "hi"}]}
    two = {"contents": [{"uri": "a://a", "blob": "aGk="}, {"uri": "a://b", "text": "ho"}]}
    assert "text" not in results.of_resource(ReadResourceResult.model_validate(two))


def test_a_prompt_is_its_messages() -> None:
    messages = [{"role": "user", "content": a_text("hi")}, {"role": "assistant", "content": an_image(b"x")}]
    value = results.of_prompt(GetPromptResult.model_validate({"messages": messages, "description": "Greets."}))
    assert value == {
        "messages": [
            {"role": "user", "text": "hi"},
            {"role": "assistant", "part": {"type": "image", "mime": "image/png", "data": b"x"}},
        ],
        "description": "Greets.",
    }


def test_a_list_that_no_answer_can_carry_is_refused() -> None:
    assert results.of_list([{"a": 1}]) == [{"a": 1}]
    with pytest.raises(Failure, match="do not fit into one reply"):
        results.of_list([{"a": "x" * 1000}] * 1000)


@pytest.mark.wide
def test_thousands_of_parts_that_hold_nothing_are_no_more_than_a_call_can_carry() -> None:
    value = results.of_tool(a_result(*[an_image(b"")] * 20_000))
    assert value["cut"] is True
    encode_body(msgspec.to_builtins(value, builtin_types=(bytes,)))
    contents = [{"uri": "a://a", "text": ""}] * 20_000
    encode_body(results.of_resource(ReadResourceResult.model_validate({"contents": contents})))
    messages = [{"role": "user", "content": a_text("")}] * 20_000
    encode_body(results.of_prompt(GetPromptResult.model_validate({"messages": messages})))


def test_a_reason_quotes_no_bytes_that_the_server_sent() -> None:
    with pytest.raises(ValidationError) as caught:
        CallToolResult.model_validate_json(b"{secret")
    assert "secret" in str(caught.value)
    assert results.reason(RuntimeError(f"Failed to parse: {caught.value}")) == "Failed to parse"
    assert results.reason(RuntimeError("Not Found: 1")) == "Not Found: 1"
