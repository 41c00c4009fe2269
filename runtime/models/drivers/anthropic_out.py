"""Writes a Request for Anthropic's Messages API (pure). Source: platform.claude.com/docs/en/api/messages, the SDK's types.

- Thinking is sent back only to the provider that made it, with its seal: a signature, or `redacted:` and the hidden data.
- `cache_control` stands where what stays the same ends: after tools and system prompt, and after the conversation so far.
- Thinking is requested by effort from models from 4.6 on (`adaptive`), by a budget from older ones. It is not sent with a
  choice that forces a tool, or in the middle of a turn whose tools were asked for without thinking: the API refuses both.
"""

import base64
import hashlib
import re
from typing import Final

from runtime.models import catalogue
from runtime.models.drivers import schemas
from runtime.models.messages import Image, Message, Request, Text, Thinking, ToolCall, ToolResult

Body = dict[str, object]

LONGEST: Final = 8192
"""Tokens of an answer if neither the request nor the catalogue bounds it: this API demands a bound."""

REDACTED: Final = "redacted:"
_BUDGETS: Final = {"low": 2048, "medium": 8192, "high": 24_576}
_LEAST: Final = 1024
"""Tokens: the smallest budget that the API takes, and what is left beside the budget for the answer itself."""

_VERSION: Final = re.compile(r"claude-(?:opus|sonnet|haiku)-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_CACHED: Final[Body] = {"type": "ephemeral"}


def stream_body(provider: str, model: str, request: Request) -> Body:
    """Return the body of a request for a stream."""
    row = catalogue.find(f"{provider}/{model}")
    most = request.most or (row.output if row is not None and row.output else LONGEST)
    made: Body = {**counted_body(provider, model, request), "max_tokens": most, "stream": True}
    made |= _thinking_config(provider, model, request, most)
    thinks = made.get("thinking", {"type": "disabled"}) != {"type": "disabled"}
    if request.temperature is not None and not thinks:
        made["temperature"] = min(request.temperature, 1.0)
    if request.stop:
        made["stop_sequences"] = list(request.stop)
    config: Body = {}
    if thinks and _is_adaptive(model):
        config["effort"] = request.thinking
    if request.schema is not None and _enforces(provider, model, request.schema):
        config["format"] = {"type": "json_schema", "schema": request.schema}
    return {**made, "output_config": config} if config else made


def counted_body(provider: str, model: str, request: Request) -> Body:
    """Return the body of a request to count tokens: without the fields that say how to answer."""
    system = request.system
    if request.schema is not None and not _enforces(provider, model, request.schema):
        system = f"{system}\n\n{schemas.in_words(request.schema)}".strip()
    made: Body = {"model": model, "messages": _messages(provider, request)}
    if system.strip():
        block: Body = {"type": "text", "text": system}
        made["system"] = [{**block, "cache_control": _CACHED} if request.cache else block]
    if request.tools:
        tools: list[Body] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": {"type": "object", "properties": {}, **tool.parameters},
            }
            for tool in request.tools
        ]
        if request.cache and not system.strip():
            tools[-1]["cache_control"] = _CACHED
        made["tools"] = tools
        made["tool_choice"] = _tool_choice(request)
    return made


def _enforces(provider: str, model: str, schema: Body) -> bool:
    row = catalogue.find(f"{provider}/{model}")
    is_taken = schemas.is_object(schema) and schemas.is_strict(schema) and not schemas.is_recursive(schema)
    return (row is None or row.schema) and is_taken


def _tool_choice(request: Request) -> Body:
    if request.choice == "none":
        return {"type": "none"}
    made: Body = (
        {"type": request.choice} if request.choice in ("auto", "any") else {"type": "tool", "name": request.choice}
    )
    return made if request.parallel else {**made, "disable_parallel_tool_use": True}


def _thinking_config(provider: str, model: str, request: Request, most: int) -> Body:
    if request.thinking == "off":
        return {"thinking": {"type": "disabled"}}
    is_forced = bool(request.tools) and request.choice not in ("auto", "none")
    if not request.thinking or is_forced or _is_amid_a_turn(provider, request):
        return {}
    if _is_adaptive(model):
        return {"thinking": {"type": "adaptive", "display": "summarized"}}
    budget = min(_BUDGETS[request.thinking], most - _LEAST)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _LEAST else {}


def _is_adaptive(model: str) -> bool:
    if re.match(r"claude-[123](?:\D|$)", model):
        return False
    found = _VERSION.match(model)
    return found is None or (int(found[1]), int(found[2] or 0)) >= (4, 6)


def _is_amid_a_turn(provider: str, request: Request) -> bool:
    """Return whether the last message has results of tools that were asked for without thinking."""
    answers = [message for message in request.messages if message.role == "assistant"]
    if not answers or not any(isinstance(part, ToolResult) for part in request.messages[-1].parts):
        return False
    return not any(isinstance(part, Thinking) and part.provider == provider for part in answers[-1].parts)


def _messages(provider: str, request: Request) -> list[Body]:
    made: list[Body] = []
    for message in request.messages:
        blocks = _blocks(provider, message)
        if blocks:
            made.append({"role": message.role, "content": blocks})
    if request.cache:
        for turn in [one for one in made if one["role"] == "user"][-2:]:
            content = turn["content"]
            assert isinstance(content, list)
            content[-1] = {**content[-1], "cache_control": _CACHED}
    return made


def _blocks(provider: str, message: Message) -> list[Body]:
    """Return the blocks of a message; results of tools stand first, as the API demands."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    others = [part for part in message.parts if not isinstance(part, ToolResult)]
    made: list[Body] = []
    for part in (*results, *others):
        match part:
            case ToolResult():
                made.append(_result_block(part))
            case Text() | Image():
                made += _content_blocks(part)
            case Thinking():
                made += _thinking_blocks(part, provider)
            case ToolCall():
                made.append({"type": "tool_use", "id": _valid_id(part.id), "name": part.name, "input": part.arguments})
    return made


def _result_block(part: ToolResult) -> Body:
    content = [block for one in part.content for block in _content_blocks(one)]
    made: Body = {"type": "tool_result", "tool_use_id": _valid_id(part.id), "content": content}
    return {**made, "is_error": True} if part.failed else made


def _content_blocks(part: Text | Image) -> list[Body]:
    if isinstance(part, Text):
        return [{"type": "text", "text": part.text}] if part.text.strip() else []
    source = {"type": "base64", "media_type": part.media, "data": base64.b64encode(part.content).decode()}
    return [{"type": "image", "source": source}]


def _thinking_blocks(part: Thinking, provider: str) -> list[Body]:
    if part.provider != provider or not part.seal:
        return []
    if part.seal.startswith(REDACTED):
        return [{"type": "redacted_thinking", "data": part.seal.removeprefix(REDACTED)}]
    return [{"type": "thinking", "thinking": part.text, "signature": part.seal}]


def _valid_id(given: str) -> str:
    """Return an id that this API takes: another provider's may have other characters."""
    if re.fullmatch(r"[a-zA-Z0-9_-]+", given):
        return given
    return f"call_{hashlib.sha256(given.encode(errors='replace')).hexdigest()[:24]}"
