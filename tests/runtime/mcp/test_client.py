"""What becomes of a server's answers that the package checks for us."""

import pytest
from mcp import Client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server as Served
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, Tool

from runtime.errors import Failure
from runtime.mcp.client import Server
from tests.runtime.mcp.side import run

OLD = "http://json-schema.org/draft-03/schema#"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"required": ["b"]}, "'b' is a required property"),
        ({"$ref": "#"}, "could not be checked by the tool's own output schema: RecursionError"),
        ({"properties": {"a": {"multipleOf": 0.1}}}, "could not be checked by the tool's own output schema: Overflow"),
        ({"$schema": OLD, "properties": {"a": {"type": "x"}}}, "checked by the tool's own output schema: UnknownType"),
    ],
)
def test_a_result_that_does_not_fit_or_make_sense_of_its_tools_output_schema_is_malformed(
    schema: dict[str, object], why: str
) -> None:
    async def list_tools(_: ServerRequestContext, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="do", input_schema={"type": "object"}, output_schema=table)])

    async def call_tool(_: ServerRequestContext, __: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=[], structured_content={"a": 10**400})

    async def called() -> str:
        hand = Server.__new__(Server)
        hand._elsewhere = None
        async with Client(Served("odd", on_list_tools=list_tools, on_call_tool=call_tool)) as client:
            with pytest.raises(Failure) as caught:
                await hand._request(client.call_tool("do", {}))
        return f"{caught.value.code}: {caught.value}"

    table = {"type": "object", **schema}
    said = run(called())
    assert said.startswith("malformed: ")
    assert why in said
