"""Writes a Request for OpenAI's Chat Completions API, and for each of the services that speak it (pure).

Source: developers.openai.com/api/reference, and the SDK's types. What a service refuses is left out by its quirks,
which rows.py explains; if the request needs that, it is asked for in words, or it is ModelFailed("unfit"). Chat
Completions, not Responses, is what all these services speak. No field of it switches thinking off everywhere, so `off`
sends none: the model's default holds.
"""

import base64
import hashlib
import re
from typing import Final

import msgspec

from runtime.models import catalogue
from runtime.models.drivers import schemas
from runtime.models.drivers.answers import ids_in
from runtime.models.failures import ModelFailed
from runtime.models.messages import Image, Message, Request, Text, Thinking, ToolCall, ToolResult

Body = dict[str, object]

FAILED: Final = "The tool failed: "
"""Begins the result of a tool that failed: this API has no field for that."""

BRIDGE: Final = "I have read the results."
"""What the assistant says between results of tools and the user's words, where it must."""

_SHORT: Final = 9
_LONGEST: Final = 40
"""Characters of a call's id: where ids are short, and the most that OpenAI takes."""

_MISTRALS: Final = re.compile(r"[sx]tral")
_MISTRAL_QUIRKS: Final = frozenset({"no_user_after_tool", "short_ids"})


def stream_body(provider: str, model: str, request: Request, quirks: frozenset[str]) -> Body:
    """Return the body of a request for a stream. Raises ModelFailed("unfit") if the service takes no tools."""
    if _MISTRALS.search(model.lower()):
        quirks |= _MISTRAL_QUIRKS
    words = [request.system] if request.system.strip() else []
    made: Body = {"model": model, "stream": True}
    if "no_stream_options" not in quirks:
        made["stream_options"] = {"include_usage": True}
    if "no_tools" in quirks and (request.tools or ids_in(request.messages)):
        raise ModelFailed("unfit", f"{provider} takes no tools", provider=provider)
    if request.tools:
        words += _add_tools(made, request, quirks)
    if request.schema is not None:
        words += _add_schema(made, provider, model, request.schema, quirks)
    if request.most:
        made["max_tokens" if "max_tokens" in quirks else "max_completion_tokens"] = request.most
    if request.temperature is not None:
        made["temperature"] = request.temperature
    if request.stop:
        made["stop"] = list(request.stop)
    row = catalogue.find(f"{provider}/{model}")
    if request.thinking not in ("", "off") and (row is None or row.thinking):
        made["reasoning_effort"] = request.thinking
    system: list[Body] = [{"role": "system", "content": "\n\n".join(words)}] if words else []
    messages = [one for message in request.messages for one in _messages(provider, message, quirks)]
    return {**made, "messages": [*system, *messages]}


def _add_tools(made: Body, request: Request, quirks: frozenset[str]) -> list[str]:
    """Add the tools to the body; return what the system prompt must say in words instead."""
    offered = request.tools
    if request.choice == "none" and "no_tool_choice" in quirks:
        return []
    words = []
    forced: object = (
        "required" if request.choice == "any" else {"type": "function", "function": {"name": request.choice}}
    )
    if request.choice in ("auto", "none"):
        forced = request.choice
    elif quirks & {"no_tool_choice", "no_forced_choice"}:
        forced = "auto"
        if request.choice != "any":
            offered = tuple(tool for tool in offered if tool.name == request.choice)
        names = " or ".join(tool.name for tool in offered)
        words.append(f"Your next answer must call a tool: {names}.")
    if "no_tool_choice" not in quirks:
        made["tool_choice"] = forced
    if not request.parallel and "no_parallel_tool_calls" not in quirks:
        made["parallel_tool_calls"] = False
    made["tools"] = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": {"type": "object", "properties": {}, **tool.parameters},
            },
        }
        for tool in offered
    ]
    return words


def _add_schema(made: Body, provider: str, model: str, schema: Body, quirks: frozenset[str]) -> list[str]:
    """Add the schema to the body; return what the system prompt must say in words instead."""
    row = catalogue.find(f"{provider}/{model}")
    is_bound = "no_json_schema" not in quirks and (row is None or row.schema) and schemas.is_object(schema)
    if is_bound:
        named: Body = {"name": "answer", "schema": schema}
        if schemas.is_strict(schema):
            named["strict"] = True
        made["response_format"] = {"type": "json_schema", "json_schema": named}
        return []
    if "no_json_schema" in quirks and schemas.is_object(schema):
        made["response_format"] = {"type": "json_object"}
    return [schemas.in_words(schema)]


def _messages(provider: str, message: Message, quirks: frozenset[str]) -> list[Body]:
    if message.role == "assistant":
        return [_assistant_message(provider, message, quirks)]
    made: list[Body] = []
    shown: list[Text | Image] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            texts = [one.text for one in part.content if isinstance(one, Text)]
            content = (FAILED if part.failed else "") + "\n".join(texts)
            made.append({"role": "tool", "tool_call_id": _call_id(part.id, quirks), "content": content})
            images = [one for one in part.content if isinstance(one, Image)]
            shown += [Text(text=f"Pictures of the result {_call_id(part.id, quirks)}:"), *images] if images else []
        elif isinstance(part, Text | Image):
            shown.append(part)
    if shown and made and "no_user_after_tool" in quirks:
        made.append({"role": "assistant", "content": BRIDGE})
    if shown:
        made.append({"role": "user", "content": _message_content(shown)})
    return made


def _assistant_message(provider: str, message: Message, quirks: frozenset[str]) -> Body:
    """Return an earlier answer of a model, with its thinking only if its own provider wants that back."""
    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    own = [part for part in message.parts if isinstance(part, Thinking) and part.provider == provider]
    seals = {call: extra for part in own if part.seal for call, extra in _open_seal(part.seal).items()}
    calls: list[Body] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            function = {"name": part.name, "arguments": msgspec.json.encode(part.arguments).decode()}
            call: Body = {"id": _call_id(part.id, quirks), "type": "function", "function": function}
            calls.append({**call, "extra_content": seals[part.id]} if part.id in seals else call)
    made: Body = {"role": "assistant", "content": text if text or not calls else None}
    if calls:
        made["tool_calls"] = calls
        if "thinking_back" in quirks and (thought := "".join(part.text for part in own)):
            made["reasoning_content"] = thought
    return made


def _call_id(given: str, quirks: frozenset[str]) -> str:
    """Return a call's id as the service takes it: another provider's may be longer, or have other characters."""
    is_short = "short_ids" in quirks
    if re.fullmatch(f"[a-zA-Z0-9]{{{_SHORT}}}", given) if is_short else len(given) <= _LONGEST:
        return given
    return hashlib.sha256(given.encode(errors="replace")).hexdigest()[: _SHORT if is_short else _LONGEST]


def seal_extra(call: str, extra: object) -> str:
    """Return the seal for what a service wants back with a tool call (Google's `thought_signature`). call: its id."""
    return msgspec.json.encode({call: extra}).decode()


def _open_seal(seal: str) -> dict[str, object]:
    try:
        return msgspec.json.decode(seal, type=dict[str, object])
    except msgspec.MsgspecError:
        return {}


def _message_content(parts: list[Text | Image]) -> object:
    """Return the content of a message; one text is a plain string, which every service takes."""
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    made: list[Body] = []
    for part in parts:
        if isinstance(part, Text):
            made.append({"type": "text", "text": part.text})
        else:
            address = f"data:{part.media};base64,{base64.b64encode(part.content).decode()}"
            made.append({"type": "image_url", "image_url": {"url": address}})
    return made
