"""What becomes of a call's end, as a client of the Model Context Protocol reads it."""

import math

import pytest
from mcp_types import CallToolResult

from runtime.calls import Reply
from runtime.errors import CallCancelled, CallEnded, CallFailed, CallRefused
from runtime.mcp import answers
from wire.amounts import Cost


def _told(result: CallToolResult) -> dict[str, object]:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def _content(method: str, value: object, streamed: bytes = b"") -> object:
    reply = Reply(value=value)  # type: ignore[arg-type]  # what a provider may send
    return _told(answers.of_reply(method, "", reply, streamed))["content"]


def _text(text: str) -> list[object]:
    return [{"type": "text", "text": text}]


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("plain", _text("plain")),
        (None, []),
        ({"a": b"\xff", "b": [1, None]}, _text('{"a":"/w==","b":[1,null]}')),
        ({"a": math.nan}, _text('{"a":"NaN"}')),
        ([1, 2], _text("[1,2]")),
        (7, _text("7")),
        ({"text": "not of a server"}, _text('{"text":"not of a server"}')),
    ],
)
def test_a_value_is_told_as_text(value: object, content: object) -> None:
    assert _content("lab.do", value) == content


def test_what_a_server_answered_is_told_as_that_server_told_it() -> None:
    parts = [
        {"type": "image", "mime": "image/png", "data": b"\x89"},
        {"type": "audio", "mime": "audio/wav", "data": b"R"},
        {"type": "link", "uri": "note://a", "name": "a"},
        {"type": "resource", "uri": "note://b", "mime": "text/plain", "text": "b"},
        {"type": "resource", "uri": "note://c", "data": b"c"},
        {"type": "image", "mime": "image/png", "size": 5_000_000},
    ]
    value = {"text": "seen", "structured": {"n": 1}, "parts": parts, "cut": True}
    result = _told(answers.of_reply("mcp-clock.look", "", Reply(value=value, labels=("mcp",)), b""))  # type: ignore[arg-type]
    assert result["structuredContent"] == {"n": 1}
    assert result["_meta"] == {"maniple/labels": ["mcp"], "maniple/cut": True}
    assert result["content"] == [
        {"type": "text", "text": "seen"},
        {"type": "image", "data": "iQ==", "mimeType": "image/png"},
        {"type": "audio", "data": "Ug==", "mimeType": "audio/wav"},
        {"type": "resource_link", "uri": "note://a", "name": "a"},
        {"type": "resource", "resource": {"uri": "note://b", "mimeType": "text/plain", "text": "b"}},
        {"type": "resource", "resource": {"uri": "note://c", "mimeType": "application/octet-stream", "blob": "Yw=="}},
        {"type": "text", "text": '{"type":"image","mime":"image/png","size":5000000}'},
    ]


def test_a_stream_is_text_where_it_is_one() -> None:
    assert _content("lab.do", None, "Grüße".encode()) == _text("Grüße")
    inner = {"uri": "maniple:lab.do/a%20b", "mimeType": "application/octet-stream", "blob": "//4="}
    result = _told(answers.of_reply("lab.do", "a b", Reply(value=None), b"\xff\xfe"))
    assert result["content"] == [{"type": "resource", "resource": inner}]
    latin = {"uri": "maniple:lab.do/", "mimeType": "application/octet-stream", "blob": "Y2Fm6Q=="}
    assert _content("lab.do", None, b"caf\xe9") == [{"type": "resource", "resource": latin}]
    cut = _told(answers.of_cut("lab.do", "", "Grüß".encode()[:-1]))
    assert cut["content"] == [*_text("Grü"), *_text("(cut here, after 5 bytes)")]
    assert (cut["_meta"], cut["isError"]) == ({"maniple/cut": True}, True)


@pytest.mark.parametrize(
    ("ended", "text", "end", "code"),
    [
        (CallRefused("rate", "slow", "a.b"), "refused: slow; a grant that would allow it: a.b", "refused", "rate"),
        (CallRefused("frozen", "everything is frozen"), "refused: everything is frozen", "refused", "frozen"),
        (CallFailed("hoarse", "nothing to shout"), "hoarse: nothing to shout", "failed", "hoarse"),
        (CallCancelled("the operator said no"), "cancelled: the operator said no", "cancelled", "cancelled"),
    ],
)  # fmt: skip
def test_a_call_that_did_not_end_well_says_why(ended: CallEnded, text: str, end: str, code: str) -> None:
    assert _told(answers.of_end(ended)) == {
        "content": _text(text),
        "isError": True,
        "resultType": "complete",
        "_meta": {"maniple/end": end, "maniple/code": code},
    }


def test_cost_and_labels_go_with_the_answer() -> None:
    reply = Reply(value=None, labels=("mcp", "web"), cost=Cost(tokens=7, micro_dollars=11))
    cost = {"tokens": 7, "micro_dollars": 11}
    expected = {"maniple/labels": ["mcp", "web"], "maniple/cost": cost}
    assert _told(answers.of_reply("lab.do", "", reply, b""))["_meta"] == expected
