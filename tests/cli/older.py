"""Programs for version 1 of the MCP Python package; their first argument is the folder that holds it."""

from typing import Final

CLIENT: Final = """
import asyncio
import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


async def talk(read: object, write: object) -> None:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with ClientSession(read, write) as session:
        greeted = await session.initialize()
        tools = (await session.list_tools()).tools
        said = await session.call_tool("echo_say", {"text": "Grüße"})
        counted = await session.call_tool("lab_count", {"lines": 2}, progress_callback=hear)
        wrong = await session.call_tool("lab_wait", {"name": "other"})
        seen = {
            "protocol": greeted.protocolVersion,
            "tools": [tool.name for tool in tools],
            "said": said.structuredContent,
            "counted": [block.text for block in counted.content],
            "heard": heard,
            "wrong": wrong.isError,
        }
        print(json.dumps(seen))


async def main() -> None:
    if sys.argv[2] == "http":
        bearer = {"Authorization": f"Bearer {sys.argv[4]}"}
        async with streamablehttp_client(sys.argv[3], headers=bearer) as (read, write, _):
            await talk(read, write)
        return
    command = StdioServerParameters(command=sys.argv[3], args=sys.argv[4:], env=dict(os.environ))
    async with stdio_client(command) as (read, write):
        await talk(read, write)


asyncio.run(main())
"""
"""`stdio COMMAND…` or `http URL TOKEN`: lists tools, calls some, one with progress, one refused; prints results as JSON."""

SERVER: Final = """
import sys

sys.path.insert(0, sys.argv[1])

from mcp.server.fastmcp import FastMCP

server = FastMCP("older")


@server.tool()
def add(a: int, b: int) -> int:
    'Add two numbers.'
    return a + b


server.run()
"""
