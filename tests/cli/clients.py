"""Clients of the Model Context Protocol for tests: the protocol's own package, which starts `maniple mcp serve` (acts)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, TextContent

from tests.cli.shell import MANIPLE, Shell

T = TypeVar("T")
WITHIN = 40.0


def talking(shell: Shell, door: str, talk: Callable[[Client], Awaitable[T]]) -> T:
    """What comes of a talk through a door."""

    async def whole() -> T:
        command = StdioServerParameters(
            command=MANIPLE[0], args=[*MANIPLE[1:], "mcp", "serve", door], env=shell.environment()
        )
        async with asyncio.timeout(WITHIN), Client(stdio_client(command)) as client:
            return await talk(client)

    return asyncio.run(whole())


def text(result: object) -> str:
    """The one text of a result."""
    assert isinstance(result, CallToolResult)
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text
