"""What each driver sends for a Request: as its provider wants it, and as the quirks of its service need it."""

import asyncio
from typing import Final

import pytest

from runtime.models.failures import ModelFailed
from runtime.models.messages import Message, Request, Text, Thinking, Tool, ToolCall, ToolResult
from tests.runtime.models import sending
from tests.runtime.models.plays import MODELS, TOOLS, asking, made
from tests.runtime.models.stage import stage

SCHEMA: Final[dict[str, object]] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN: Final[dict[str, object]] = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}}
ALL: Final = (
    "max_tokens", "no_forced_choice", "no_json_schema", "no_parallel_tool_calls", "no_stream_options", "no_tool_choice",
    "no_user_after_tool", "short_ids", "thinking_back",
)  # fmt: skip


# Anthropic -----------------------------------------------------------------------------------------------------------


def test_anthropic_is_asked_in_its_own_words() -> None:
    sent = sending.sent("anthropic", sending.talk("anthropic", most=500, temperature=1.5, stop=("x",), cache=False))
    assert (sent.method, sent.path) == ("POST", "/v1/messages")
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}}
    body = sent.json
    messages = body["messages"]
    assert isinstance(messages, list)
    call = messages[1]["content"][3]["id"]
    assert call.startswith("call_")
    assert messages == [
        {"role": "user", "content": [{"type": "text", "text": "look"}, image]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "aGlk"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": call, "name": "read", "input": {"path": "ä"}},
                {"type": "tool_use", "id": "b", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call, "content": [{"type": "text", "text": "1,2"}, image]},
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [{"type": "text", "text": "no"}],
                    "is_error": True,
                },
                {"type": "text", "text": "and go on"},
            ],
        },
    ]
    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert body["tools"] == [
        {
            "name": "read",
            "description": "",
            "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
        },
        {"name": "now", "description": "", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert body["tool_choice"] == {"type": "auto"}
    rest = {
        "model": MODELS["anthropic"],
        "max_tokens": 500,
        "temperature": 1.0,
        "stop_sequences": ["x"],
        "stream": True,
    }
    assert {name: body[name] for name in rest} == rest
    assert "thinking" not in body


def test_anthropic_may_keep_what_stays_the_same() -> None:
    body = sending.body("anthropic", sending.talk("anthropic"))
    marked = {"type": "ephemeral"}
    system, messages = body["system"], body["messages"]
    assert isinstance(system, list)
    assert isinstance(messages, list)
    assert system[-1]["cache_control"] == marked
    assert [message["content"][-1].get("cache_control") for message in messages] == [marked, None, marked]
    assert str(body).count("ephemeral") == 3
    tools = sending.body("anthropic", asking(tools=TOOLS))["tools"]
    assert isinstance(tools, list)
    assert tools[-1]["cache_control"] == marked
    assert "ephemeral" not in str(sending.body("anthropic", sending.talk("anthropic", cache=False)))


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        ("auto", True, {"type": "auto"}),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("any", True, {"type": "any"}),
        ("now", False, {"type": "tool", "name": "now", "disable_parallel_tool_use": True}),
    ],
)
def test_anthropic_is_told_which_tools_may_be_called(choice: str, parallel: bool, sent: dict[str, object]) -> None:
    assert sending.body("anthropic", asking(tools=TOOLS, choice=choice, parallel=parallel))["tool_choice"] == sent


@pytest.mark.parametrize(
    ("model", "fields", "thinking", "effort"),
    [
        ("", {"thinking": "low"}, {"type": "enabled", "budget_tokens": 2048}, None),
        ("", {"thinking": "high", "most": 4000}, {"type": "enabled", "budget_tokens": 2976}, None),
        ("", {"thinking": "high", "most": 500}, None, None),
        ("", {"thinking": "off"}, {"type": "disabled"}, None),
        ("", {"thinking": "low", "tools": TOOLS, "choice": "any"}, None, None),
        ("claude-opus-4-6", {"thinking": "high"}, {"type": "adaptive", "display": "summarized"}, "high"),
        (
            "claude-fable-5",
            {"thinking": "low", "temperature": 0.5},
            {"type": "adaptive", "display": "summarized"},
            "low",
        ),
        ("claude-3-7-sonnet-20250219", {"thinking": "low"}, {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-opus-4-20250514", {"thinking": "low"}, {"type": "enabled", "budget_tokens": 2048}, None),
    ],
)
def test_anthropic_is_asked_to_think_in_the_models_own_way(
    model: str, fields: dict[str, object], thinking: object, effort: str | None
) -> None:
    body = sending.body("anthropic", asking(**fields), model)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == ({"effort": effort} if effort else None)
    assert "temperature" not in body or thinking in (None, {"type": "disabled"})


def test_anthropic_does_not_begin_to_think_amid_anothers_turn() -> None:
    assert "thinking" not in sending.body("anthropic", sending.talk("somebody", thinking="low"))
    assert "thinking" in sending.body("anthropic", sending.talk("anthropic", thinking="low"))


def test_anthropic_binds_an_answer_to_a_schema_that_it_takes_and_is_told_others_in_words() -> None:
    bound = sending.body("anthropic", asking(schema=SCHEMA))
    assert bound["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert "system" not in bound
    told = sending.body("anthropic", asking(schema=OPEN, system="Be brief."))
    assert "output_config" not in told
    assert '"minimum":3' in str(told["system"])
    assert "Be brief." in str(told["system"])


# OpenAI --------------------------------------------------------------------------------------------------------------


def test_openai_is_asked_in_its_own_words() -> None:
    request = sending.talk("openai", most=500, temperature=0.5, stop=("x",), thinking="low", schema=SCHEMA)
    sent = sending.sent("openai", request)
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
    body = sent.json
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "look"}, image]},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "a:1", "type": "function", "function": {"name": "read", "arguments": '{"path":"ä"}'}},
                {"id": "b", "type": "function", "function": {"name": "now", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a:1", "content": "1,2"},
        {"role": "tool", "tool_call_id": "b", "content": "The tool failed: no"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "and go on"},
                {"type": "text", "text": "Pictures of the result a:1:"},
                image,
            ],
        },
    ]
    rest = {
        "model": "gpt-5", "stream": True, "stream_options": {"include_usage": True}, "max_completion_tokens": 500,
        "temperature": 0.5, "stop": ["x"], "reasoning_effort": "low", "tool_choice": "auto",
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}},
    }  # fmt: skip
    assert {name: body[name] for name in rest} == rest
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "read",
                "description": "",
                "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
            },
        },
        {
            "type": "function",
            "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    assert "parallel_tool_calls" not in body


def test_openai_takes_a_schema_that_is_not_strict_too() -> None:
    named = {"name": "answer", "schema": OPEN}
    assert sending.body("openai", asking(schema=OPEN))["response_format"] == {
        "type": "json_schema",
        "json_schema": named,
    }


def test_a_schema_that_refers_to_itself_is_enforced_by_openai_and_asked_for_in_words_of_anthropic() -> None:
    def tree(of: str) -> dict[str, object]:
        node = {
            "type": "object", "properties": {"inner": {"type": "array", "items": {"$ref": of}}}, "required": ["inner"],
            "additionalProperties": False,
        }  # fmt: skip
        leaf = {"type": "string", "description": 'not "$ref":"#"'}
        return {**node, "$defs": {"node": {**node}, "leaf": leaf}}

    for name in ("#", "#/$defs/node", "#/$defs/leaf"):
        request = asking(schema=tree(name))
        assert sending.body("openai", request)["response_format"]["json_schema"]["strict"]  # type: ignore[index]
        body = sending.body("anthropic", request)
        assert ("output_config" in body) == (name == "#/$defs/leaf")
        assert ("JSON Schema" in str(body.get("system"))) == (name != "#/$defs/leaf")


@pytest.mark.parametrize(
    ("choice", "sent"),
    [("none", "none"), ("any", "required"), ("now", {"type": "function", "function": {"name": "now"}})],
)
def test_openai_is_told_which_tools_may_be_called(choice: str, sent: object) -> None:
    body = sending.body("openai", asking(tools=TOOLS, choice=choice, parallel=False))
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (sent, False)


def test_every_quirk_changes_what_is_sent() -> None:
    request = sending.talk("openai", most=500, parallel=False, choice="any", schema=SCHEMA)
    plain = sending.body("openai", request)
    assert not {"max_tokens"} & plain.keys()
    for quirk in ALL:
        assert sending.body("openai", request, quirks=(quirk,)) != plain, quirk
    body = sending.body("openai", request, quirks=ALL)
    assert body["max_tokens"] == 500
    assert not {"max_completion_tokens", "parallel_tool_calls", "stream_options", "tool_choice"} & body.keys()
    assert body["response_format"] == {"type": "json_object"}
    messages = body["messages"]
    assert isinstance(messages, list)
    assert messages[2]["reasoning_content"] == "hm"
    for said in ("JSON", '"required":["a"]', "must call a tool: read or now"):
        assert said in messages[0]["content"]


@pytest.mark.parametrize("model", ["mistral-large-2512", "mistralai/Devstral-Small-2-24B", "open-mixtral-8x22b"])
def test_mistrals_models_wherever_they_are_served_get_messages_in_the_order_that_they_take(model: str) -> None:
    messages = sending.body("openai", sending.talk("openai"), model)["messages"]
    assert isinstance(messages, list)
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    ids = [one["id"] for one in messages[2]["tool_calls"]]
    assert ids == [one["tool_call_id"] for one in messages[3:5]]
    assert all(len(one) == 9 and one.isalnum() for one in ids)
    assert f"Pictures of the result {ids[0]}:" in str(messages[6])


def test_ids_of_calls_are_no_longer_than_openai_takes_and_still_each_their_own() -> None:
    long = [f"functions.mcp-library_read-the-catalogue:{number}" for number in range(2)]
    calls = tuple(ToolCall(id=one, name="now") for one in (*long, "x" * 40))
    results = tuple(ToolResult(id=one.id) for one in calls)
    before = Message(role="assistant", parts=calls), Message(role="user", parts=results)
    messages = sending.body("openai", Request(messages=(*asking().messages, *before)))["messages"]
    assert isinstance(messages, list)
    ids = [one["id"] for one in messages[-4]["tool_calls"]]
    assert ids == [one["tool_call_id"] for one in messages[-3:]]
    assert (len(set(ids)), max(map(len, ids)), ids[2]) == (3, 40, "x" * 40)


def test_a_choice_that_cannot_be_forced_is_asked_for_in_words() -> None:
    body = sending.body("openai", asking(tools=TOOLS, choice="now"), quirks=("no_forced_choice",))
    assert body["tool_choice"] == "auto"
    assert [tool["function"]["name"] for tool in body["tools"]] == ["now"]  # type: ignore[attr-defined]
    assert "must call a tool: now" in str(body["messages"])
    assert (
        sending.body("openai", asking(tools=TOOLS, choice="none"), quirks=("no_forced_choice",))["tool_choice"]
        == "none"
    )
    assert "tools" not in sending.body("openai", asking(tools=TOOLS, choice="none"), quirks=("no_tool_choice",))


_BEFORE: Final = (Message(role="assistant", parts=(ToolCall(id="x", name="now"),)), *asking().messages)


@pytest.mark.parametrize("talk", [asking(tools=TOOLS), Request(messages=_BEFORE)], ids=["now", "before"])
def test_tools_for_a_service_that_takes_none_are_refused_before_it_is_asked(talk: Request) -> None:
    async def failed() -> ModelFailed:
        async with stage([]) as server:
            asked = made("openai", server.url, quirks=("no_tools",))
            with pytest.raises(ModelFailed) as caught:
                async for _ in asked.stream("m", talk):
                    pass
            assert server.asked == []
            return caught.value

    assert asyncio.run(failed()).code == "unfit"


def test_what_a_service_wants_back_with_a_call_goes_back() -> None:
    seal = '{"x":{"google":{"thought_signature":"cw"}}}'
    parts = (Thinking(seal=seal, provider="openai"), ToolCall(id="x", name="now"), ToolCall(id="y", name="now"))
    results = tuple(ToolResult(id=name, content=(Text(text="1"),)) for name in ("x", "y"))
    messages = (Message(role="assistant", parts=parts), Message(role="user", parts=results))
    sent = sending.body("openai", Request(messages=messages))["messages"]
    assert isinstance(sent, list)
    first, second = sent[0]["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "cw"}}
    assert "extra_content" not in second


def test_tools_of_any_name_that_is_allowed_are_described() -> None:
    tool = Tool(name="x" * 64, description="what it does", parameters={"type": "object", "required": ["a"]})
    sent = sending.body("anthropic", asking(tools=(tool,), cache=False))["tools"]
    schema = {"type": "object", "properties": {}, "required": ["a"]}
    assert sent == [{"name": "x" * 64, "description": "what it does", "input_schema": schema}]
