"""A door whose tools, prompts and resources are those that the conformance suite asks a server for.

Transport, sessions, the look at token, Host and Origin, lists and calls of tools are those of every door; what stands here
is only what the suite wants to see on top of them.
"""

import asyncio
from collections.abc import Sequence

import prompts
import resources
import rounds
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    SamplingCapability,
    SamplingMessage,
    TextContent,
    TextResourceContents,
    Tool,
)
from pictures import PNG, WAV

from runtime.mcp.door import Door
from runtime.mcp.offering import Report

_ASKED = {"type": "object", "properties": {"message": {"type": "string"}, "prompt": {"type": "string"}}}


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


def embedded(uri: str, mime: str, words: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime, text=words))


Blocks = list[ContentBlock]
IMAGE = ImageContent(type="image", data=PNG, mime_type="image/png")
PLAIN: dict[str, Blocks] = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [IMAGE],
    "test_audio_content": [AudioContent(type="audio", data=WAV, mime_type="audio/wav")],
    "test_embedded_resource": [
        embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        IMAGE,
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
}
ELICITED = {
    "test_elicitation_sep1034_defaults": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
    "test_elicitation_sep1330_enums": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {
            "type": "string",
            "oneOf": [{"const": f"value{at}", "title": f"Option {at}"} for at in (1, 2, 3)],
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": [{"const": f"value{at}", "title": f"Choice {at}"} for at in (1, 2, 3)]},
        },
    },
}
TOLD = ("test_tool_with_logging", "test_logging_tool")
TALKING = (
    *TOLD, "test_sampling", "test_elicitation", "test_streaming_elicitation", "test_missing_capability", *ELICITED,
)  # fmt: skip


class Conformance(Door):
    """What the suite talks to."""

    def server(self) -> Server:
        """That of every door, with what doors do not offer: prompts, resources, and tools that ask their client."""
        server = super().server()
        ours = server.get_request_handler("tools/call")
        assert ours is not None

        async def called(
            asked: ServerRequestContext, params: CallToolRequestParams
        ) -> CallToolResult | InputRequiredResult:
            if params.name in rounds.TOOLS:
                return rounds.TOOLS[params.name](asked, params)
            if params.name in TALKING:
                return await _talked(asked, params)
            result = await ours.handler(asked, params)
            assert isinstance(result, CallToolResult)
            return result

        server.add_request_handler("tools/call", CallToolRequestParams, called)
        prompts.add(server)
        resources.add(server)
        server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=server.name))
        return server

    async def list_tools(self) -> Sequence[Tool]:
        """The suite's tools."""
        names = [*PLAIN, "test_error_handling", "test_tool_with_progress", *TALKING, *rounds.TOOLS]
        return [Tool(name=name, description=f"The suite's {name}.", input_schema=dict(_ASKED)) for name in names]

    async def call_tool(self, name: str, arguments: dict[str, object], report: Report) -> CallToolResult:
        """Those that only answer; any other is one that no door offers."""
        if name in PLAIN:
            return CallToolResult(content=list(PLAIN[name]))
        if name == "test_error_handling":
            words = "This tool intentionally returns an error for testing"
            return CallToolResult(content=[text(words)], is_error=True)
        if name == "test_tool_with_progress":
            for done in (0, 50, 100):
                await report(done, 100, None)
                await asyncio.sleep(0.05)
            return CallToolResult(content=[text("It is done.")])
        return await super().call_tool(name, arguments, report)


async def _talked(asked: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
    session, given = asked.session, params.arguments or {}
    if params.name in TOLD:
        for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await session.send_log_message("info", words, related_request_id=asked.request_id)
            await asyncio.sleep(0.05)
        return CallToolResult(content=[text("It is told.")])
    if params.name == "test_missing_capability":
        if not session.check_client_capability(ClientCapabilities(sampling=SamplingCapability())):
            lacking: dict[str, object] = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "the client has no sampling", lacking)
        return CallToolResult(content=[text("It has it.")])
    if params.name == "test_streaming_elicitation":
        for done in (1, 2):
            await session.report_progress(done, 2)
        return CallToolResult(content=[text("Nobody was asked.")])
    if params.name == "test_sampling":
        message = SamplingMessage(role="user", content=text(str(given.get("prompt"))))
        answer = await session.create_message([message], max_tokens=100, related_request_id=asked.request_id)
        words = answer.content.text if isinstance(answer.content, TextContent) else "no text"
        return CallToolResult(content=[text(f"LLM response: {words}")])
    if params.name == "test_elicitation":
        fields = {name: {"type": "string", "description": f"User's {name}"} for name in ("username", "email")}
        schema, message_ = {"type": "object", "properties": fields, "required": list(fields)}, str(given.get("message"))
    elif params.name in ELICITED:
        schema, message_ = {"type": "object", "properties": ELICITED[params.name]}, "Please choose."
    else:
        raise MCPError(INVALID_PARAMS, f"no tool {params.name}")
    said = await session.elicit_form(message_, schema, related_request_id=asked.request_id)
    return CallToolResult(content=[text(f"Elicitation completed: action={said.action}, content={said.content}")])
