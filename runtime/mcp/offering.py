"""Makes an MCP server that lists and calls given tools (acts through them).

Separate from door.py, which gets the tools from the kernel, so that this knows the protocol and not the bus.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Final, Protocol, TypeAlias

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, RequestId, Tool

from runtime.mcp.changes import Changes

Report: TypeAlias = Callable[[float, float | None, str | None], Awaitable[None]]
"""Reports progress to a waiting client: amount done, total, text. Does nothing if the client did not request it."""

REQUEST_ID: Final[ContextVar[RequestId | None]] = ContextVar("request_id", default=None)
"""The id of the request that a task answers."""

PAGE: Final = 100
"""Tools on one page of their list."""


class Tools(Protocol):
    """A source of tools."""

    async def list_tools(self) -> Sequence[Tool]:
        """All tools, always in the same order."""
        ...

    async def call_tool(self, name: str, arguments: dict[str, object], report: Report) -> CallToolResult:
        """Calls a tool. Every end is a result; for an unknown tool, one with isError."""
        ...


def server_of(name: str, version: str, instructions: str, tools: Tools, changes: Changes) -> Server:
    """Makes a server that offers these tools, in each version of the protocol that the package speaks.

    changes: gets each request for the list, and each for a stream of its changes.
    """

    async def list_page(asked: ServerRequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        changes.subscribe(asked)
        rows = await tools.list_tools()
        start = _start(params.cursor if params is not None else None)
        after = start + PAGE
        return ListToolsResult(tools=list(rows[start:after]), next_cursor=str(after) if after < len(rows) else None)

    async def call(asked: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
        REQUEST_ID.set(asked.request_id)
        return await tools.call_tool(params.name, dict(params.arguments or {}), asked.session.report_progress)

    server = Server(
        name, version=version, instructions=instructions or None, on_list_tools=list_page, on_call_tool=call,
        on_subscriptions_listen=changes.listening,
    )  # fmt: skip
    options = partial(server.create_initialization_options, NotificationOptions(tools_changed=True))
    server.create_initialization_options = options  # type: ignore[method-assign]  # the only way to set them for HTTP
    return server


def _start(cursor: str | None) -> int:
    """The index in the list that our cursor names; 0 for an unknown cursor."""
    return int(cursor) if cursor and cursor.isascii() and cursor.isdigit() and len(cursor) < 9 else 0
