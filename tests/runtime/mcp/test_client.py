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


@pytest.mark.parametrize("is_in_cursors", [False, True])
def test_a_list_of_huge_pages_is_not_gathered(is_in_cursors: bool) -> None:
    pages = 0

    async def list_tools(_: ServerRequestContext, __: PaginatedRequestParams | None) -> ListToolsResult:
        nonlocal pages
        pages += 1
        tool = Tool(name="do", description="" if is_in_cursors else much, input_schema={"type": "object"})
        return ListToolsResult(tools=[tool], next_cursor=much if is_in_cursors else "more")

    async def listed() -> str:
        hand = Server.__new__(Server)
        hand._elsewhere = None
        async with Client(Served("odd", on_list_tools=list_tools), cache=None) as client:
            with pytest.raises(Failure) as caught:
                await hand._pages(client.list_tools, "tools")
        return f"{caught.value.code}: {caught.value}"

    much = "x" * (3 << 20)
    assert run(listed()) == "too-large: the server's list of tools is larger than 8 MiB"
    assert pages == 3
