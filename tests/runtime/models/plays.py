"""Streams as both protocols write them, what must come of each, and the check of the drivers' contract (acts: asks).

GOOD has a row for each: its driver, its events' bytes, and the parts, stop and usage of the Answer.
"""

import json
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from runtime.models.drivers import Driver, Endpoint, load_driver
from runtime.models.messages import (
    Answer,
    AnyPiece,
    Message,
    Request,
    Stop,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    Tool,
    ToolCall,
    ToolPiece,
    Usage,
)  # fmt: skip
from tests.runtime.models.stage import named, unnamed

KEY: Final = "sk-very-secret-0123456789"
MODELS: Final = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-5"}
TOOLS: Final = (
    Tool(name="read", parameters={"type": "object", "properties": {"path": {"type": "string"}}}),
    Tool(name="now"),
)


class Good(Struct, frozen=True, kw_only=True):
    """A stream that is an answer."""

    name: str
    driver: str
    body: bytes
    parts: tuple[Text | Thinking | ToolCall, ...]
    stop: Stop = Stop.END
    usage: Usage = Usage(input=10, output=5)


def asking(text: str = "hello", /, **more: object) -> Request:
    """A request of one message."""
    return Request(messages=(Message(role="user", parts=(Text(text=text),)),), **more)  # type: ignore[arg-type]


def made(name: str, url: str, **more: object) -> Driver:
    """A driver for a server on loopback, impatient unless told otherwise."""
    times = {"first": 5.0, "silence": 5.0, "whole": 20.0}
    base = url if name == "anthropic" else f"{url}/v1"
    fields = {"provider": name, "base_url": base, "key": KEY, **times, **more}
    return load_driver(name)(Endpoint(**fields))  # type: ignore[arg-type]


async def collect_answer(pieces: AsyncIterator[AnyPiece | Answer]) -> Answer:
    """The Answer at the end of a stream."""
    *_, answer = [piece async for piece in pieces]
    assert isinstance(answer, Answer)
    return answer


async def checked(asked: Driver, name: str, request: Request | None = None) -> tuple[list[AnyPiece], Answer]:
    """Pieces and Answer of a stream that keeps the contract of drivers/__init__.py."""
    found = [piece async for piece in asked.stream(MODELS[name], request or asking(tools=TOOLS))]
    *pieces, answer = found
    assert isinstance(answer, Answer)
    kept = [piece for piece in pieces if not isinstance(piece, Answer)]
    assert len(kept) == len(pieces), "one Answer, at the end"
    assert "".join(piece.text for piece in kept if isinstance(piece, TextPiece)) == answer.text
    thought = "".join(piece.text for piece in kept if isinstance(piece, ThinkingPiece))
    assert thought == "".join(part.text for part in answer.parts if isinstance(part, Thinking))
    assert all(piece.arguments or piece.name if isinstance(piece, ToolPiece) else piece.text for piece in kept)
    for call in answer.calls:
        mine = [piece for piece in kept if isinstance(piece, ToolPiece) and piece.id == call.id]
        assert mine[0].name == call.name
        assert not any(piece.name for piece in mine[1:])
        written = "".join(piece.arguments for piece in mine)
        assert call.malformed == written if call.malformed else call.arguments == json.loads(written or "{}")
    assert len({call.id for call in answer.calls}) == len(answer.calls)
    assert (answer.stop is Stop.TOOL) == bool(answer.calls)
    assert answer.model == f"{name}/{MODELS[name]}"
    return kept, answer


# Anthropic -----------------------------------------------------------------------------------------------------------


def begun(model: str = "claude-sonnet-4-5-20250929", **usage: int) -> dict[str, object]:
    """Its first event."""
    told = {"input_tokens": 10, "output_tokens": 1, **usage}
    return {
        "type": "message_start",
        "message": {"id": "m", "type": "message", "model": model, "content": [], "usage": told},
    }


def block(index: int, kind: str, *deltas: dict[str, object], **fields: object) -> list[dict[str, object]]:
    """A block from its beginning to its end."""
    grown = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    start = {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}
    return [start, *grown, {"type": "content_block_stop", "index": index}]


def ended(stop: str = "end_turn", output: int = 5) -> list[dict[str, object]]:
    """Its last two events."""
    delta: dict[str, object] = {
        "type": "message_delta",
        "delta": {"stop_reason": stop},
        "usage": {"output_tokens": output},
    }
    return [delta, {"type": "message_stop"}]


def texts(*said: str) -> list[dict[str, object]]:
    """Deltas of text."""
    return [{"type": "text_delta", "text": text} for text in said]


def written(*said: str) -> list[dict[str, object]]:
    """Deltas of a tool's arguments."""
    return [{"type": "input_json_delta", "partial_json": text} for text in said]


_THINKS: Final = block(
    0,
    "thinking",
    {"type": "thinking_delta", "thinking": "let me "},
    {"type": "thinking_delta", "thinking": "sée"},
    {"type": "signature_delta", "signature": "c2ln"},
    thinking="",
)
_PLAIN: Final = [begun(), *block(0, "text", *texts("Grüße ", "", "🌍 from ", "here"), text=""), *ended()]
_ANTHROPIC: Final = (
    Good(name="text", driver="anthropic", body=named(*_PLAIN), parts=(Text(text="Grüße 🌍 from here"),)),
    Good(name="text, CRLF", driver="anthropic", body=named(*_PLAIN, end="\r\n"), parts=(Text(text="Grüße 🌍 from here"),)),
    Good(
        name="pings, comments, and kinds that are not known",
        driver="anthropic",
        body=b": hello\n\n" + named({"type": "ping"}, begun(), {"type": "new_thing", "x": 1}, *block(0, "strange"))
        + named(*block(1, "text", {"type": "citations_delta", "citation": {}}, *texts("a"), text=""), *ended("newly")),
        parts=(Text(text="a"),),
    ),
    Good(
        name="thinking, hidden thinking, text",
        driver="anthropic",
        body=named(begun(), *_THINKS, *block(1, "redacted_thinking", data="aGlkZGVu"))
        + named(*block(2, "text", *texts("yes"), text=""), *ended()),
        parts=(
            Thinking(text="let me sée", seal="c2ln", provider="anthropic"),
            Thinking(seal="redacted:aGlkZGVu", provider="anthropic"),
            Text(text="yes"),
        ),
    ),
    Good(
        name="tools side by side, arguments in pieces, one without any",
        driver="anthropic",
        body=named(
            begun(cache_read_input_tokens=70, cache_creation_input_tokens=30),
            *block(0, "text", *texts("I look."), text=""),
            *block(1, "tool_use", *written("", '{"pa', 'th": "ä', '.csv"}'), id="toolu_1", name="read", input={}),
            *block(2, "tool_use", id="toolu_2", name="now", input={}),
            *ended("tool_use"),
        ),
        parts=(
            Text(text="I look."),
            ToolCall(id="toolu_1", name="read", arguments={"path": "ä.csv"}),
            ToolCall(id="toolu_2", name="now"),
        ),
        stop=Stop.TOOL,
        usage=Usage(input=10, cached=70, cache_written=30, output=5),
    ),
    Good(
        name="arguments that are no object, arguments at once, an id twice",
        driver="anthropic",
        body=named(
            begun(),
            *block(0, "tool_use", *written("[1"), id="a", name="read", input={}),
            *block(1, "tool_use", id="a", name="read", input={"path": "x"}),
            *ended("end_turn"),
        ),
        parts=(ToolCall(id="a", name="read", malformed="[1"), ToolCall(id="call-1", name="read", arguments={"path": "x"})),
        stop=Stop.TOOL,
    ),
    Good(
        name="the longest length within a call",
        driver="anthropic",
        body=named(begun(), *block(0, "tool_use", *written('{"path": "re'), id="a", name="read", input={})[:-1])
        + named(*ended("max_tokens")),
        parts=(),
        stop=Stop.LENGTH,
    ),
    Good(name="refusal", driver="anthropic", body=named(begun(), *ended("refusal")), parts=(), stop=Stop.REFUSED),
    Good(
        name="a sequence, and the end missing after its reason",
        driver="anthropic",
        body=named(begun(), *block(0, "text", *texts("a"), text=""), *ended("stop_sequence")[:1]),
        parts=(Text(text="a"),),
        stop=Stop.SEQUENCE,
    ),
)  # fmt: skip

# OpenAI --------------------------------------------------------------------------------------------------------------


def chunk(delta: dict[str, object] | None = None, finish: str | None = None, **fields: object) -> dict[str, object]:
    """A chunk of one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "model": "gpt-5-2025-08-07", "choices": [choice], **fields}


def calls(*deltas: dict[str, object]) -> dict[str, object]:
    """A chunk of tool calls."""
    return chunk({"tool_calls": list(deltas)})


USED: Final[dict[str, object]] = {
    "id": "c", "object": "chat.completion.chunk", "model": "gpt-5", "choices": [],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}  # fmt: skip
_SAID: Final = [
    chunk({"role": "assistant", "content": ""}),
    *(chunk({"content": one}) for one in ("Grüße ", "🌍", " da")),
]
_CACHED: Final[dict[str, object]] = {
    "prompt_tokens": 100, "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
}  # fmt: skip
_SIGNED: Final[dict[str, object]] = {"google": {"thought_signature": "cw"}}
_READ: Final[dict[str, object]] = {"name": "read", "arguments": ""}


def _more(index: int | None, arguments: str, **fields: object) -> dict[str, object]:
    place = {} if index is None else {"index": index}
    return {**place, "function": {"arguments": arguments}, **fields}


_OPENAI: Final = (
    Good(
        name="text",
        driver="openai",
        body=unnamed(*_SAID, chunk(finish="stop"), USED, "[DONE]"),
        parts=(Text(text="Grüße 🌍 da"),),
    ),
    Good(
        name="text, CRLF, comments, empty chunks",
        driver="openai",
        body=b": PROCESSING\r\n\r\n"
        + unnamed(*_SAID, chunk(), chunk({"content": None}), chunk(finish="stop"), USED, "[DONE]", end="\r\n"),
        parts=(Text(text="Grüße 🌍 da"),),
    ),
    Good(
        name="without [DONE]; usage with the last delta, from a cache",
        driver="openai",
        body=unnamed(
            chunk({"content": "a"}),
            chunk(finish="stop", usage=_CACHED),
        ),
        parts=(Text(text="a"),),
        usage=Usage(input=10, cached=60, cache_written=30, output=5),
    ),
    Good(
        name="thinking that is in the total only",
        driver="openai",
        body=unnamed(
            chunk({"reasoning_content": "hm, "}), chunk({"reasoning": "sò"}), chunk({"content": "yes"}), chunk(finish="stop"),
            {**USED, "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 15}}, "[DONE]",
        ),
        parts=(Thinking(text="hm, sò", provider="openai"), Text(text="yes")),
    ),
    Good(
        name="content as a list",
        driver="openai",
        body=unnamed(
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
            chunk({"content": [{"type": "text", "text": "yes"}]}), chunk(finish="stop"), USED, "[DONE]",
        ),
        parts=(Thinking(text="hm", provider="openai"), Text(text="yes")),
    ),
    Good(
        name="tools side by side, their arguments in turns",
        driver="openai",
        body=unnamed(
            chunk({"content": "I look."}),
            calls({"index": 0, "id": "call_1", "type": "function", "function": _READ}),
            calls({"index": 1, "id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}}),
            calls(_more(0, '{"path": '), _more(1, "{")), calls(_more(1, "}")), calls(_more(0, '"ä.csv"}')),
            chunk(finish="tool_calls"), USED, "[DONE]",
        ),
        parts=(
            Text(text="I look."),
            ToolCall(id="call_1", name="read", arguments={"path": "ä.csv"}),
            ToolCall(id="call_2", name="now"),
        ),
        stop=Stop.TOOL,
    ),
    Good(
        name="tools of services that give no id, no index, or the same twice",
        driver="openai",
        body=unnamed(
            calls({"index": 0, "id": "", "function": {"name": "read", "arguments": {"path": "a"}}}),
            calls({"index": 0, "id": "", "function": {"name": "read", "arguments": {"path": "z"}}}),
            calls({"index": 0, "id": "x", "function": {"name": "read", "arguments": '{"path": "b"}'}}),
            calls({"index": 0, "id": "y", "function": {"name": "now"}}),
            calls({"index": 1, "id": "y", "function": {"name": "now"}}),
            calls({"function": {"name": "read", "arguments": '{"path"'}}), calls(_more(None, ': "c"}')),
            chunk(finish="stop"), USED, "[DONE]",
        ),
        parts=(
            ToolCall(id="call-0", name="read", arguments={"path": "a"}),
            ToolCall(id="call-1", name="read", arguments={"path": "z"}),
            ToolCall(id="x", name="read", arguments={"path": "b"}),
            ToolCall(id="y", name="now"),
            ToolCall(id="call-4", name="now"),
            ToolCall(id="call-5", name="read", arguments={"path": "c"}),
        ),
        stop=Stop.TOOL,
    ),
    Good(
        name="a call with something that has to go back",
        driver="openai",
        body=unnamed(
            calls({"index": 0, "id": "x", "function": {"name": "now", "arguments": "{}"}, "extra_content": _SIGNED}),
            chunk(finish="tool_calls"), USED, "[DONE]",
        ),
        parts=(
            Thinking(seal='{"x":{"google":{"thought_signature":"cw"}}}', provider="openai"),
            ToolCall(id="x", name="now"),
        ),
        stop=Stop.TOOL,
    ),
    Good(
        name="letters cut in halves",
        driver="openai",
        body=unnamed(
            r'{"choices": [{"index": 0, "delta": {"content": "a\ud83c"}}]}',
            r'{"choices": [{"index": 0, "delta": {"content": "\udf0d\ud83c"}}]}',
            chunk(finish="stop"), USED, "[DONE]",
        ),
        parts=(Text(text="a🌍\ufffd"),),
    ),
    Good(
        name="the longest length within a call",
        driver="openai",
        body=unnamed(calls({"index": 0, "id": "x", "function": {"name": "read", "arguments": '{"pa'}}))
        + unnamed(chunk(finish="length"), USED, "[DONE]"),
        parts=(),
        stop=Stop.LENGTH,
    ),
    Good(
        name="a refusal in words",
        driver="openai",
        body=unnamed(chunk({"refusal": "I can not."}), chunk(finish="stop"), USED, "[DONE]"),
        parts=(Text(text="I can not."),),
        stop=Stop.REFUSED,
    ),
)  # fmt: skip

GOOD: Final = (*_ANTHROPIC, *_OPENAI)
