"""What a server of the Model Context Protocol is here (acts through what it is given): tools, listed and called.

Separate from door.py, which finds them with the kernel, so that what speaks the protocol knows no bus.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Final, Protocol, TypeAlias

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, RequestId, Tool

from runtime.mcp.changes import Changes

Tell: TypeAlias = Callable[[float, float | None, str | None], Awaitable[None]]
"""Tells a client that waits how far its call is: done, of how much, and words. Nothing happens where it did not ask."""

ASKED: Final[ContextVar[RequestId | None]] = ContextVar("asked", default=None)
"""The id that a client gave to the request that a task answers."""

PAGE: Final = 100
"""Tools of one page of their list."""


class Tools(Protocol):
    """Where tools come from."""

    async def listed(self) -> Sequence[Tool]:
        """All tools there are now, always in the same order."""
        ...

    async def called(self, name: str, arguments: dict[str, object], tell: Tell) -> CallToolResult:
        """Call one. Whatever comes of it is a result; a tool that there is not is one with isError."""
        ...


def server_of(name: str, version: str, instructions: str, tools: Tools, changes: Changes) -> Server:
    """A server that offers these tools, in each version of the protocol that the package speaks.

    changes: told of who asks for the list, and asked for streams of its changes.
    """

    async def listed(asked: ServerRequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        changes.heard(asked)
        rows = await tools.listed()
        start = _start(params.cursor if params is not None else None)
        after = start + PAGE
        return ListToolsResult(tools=list(rows[start:after]), next_cursor=str(after) if after < len(rows) else None)

    async def called(asked: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
        ASKED.set(asked.request_id)
        return await tools.called(params.name, dict(params.arguments or {}), asked.session.report_progress)

    server = Server(
        name, version=version, instructions=instructions or None, on_list_tools=listed, on_call_tool=called,
        on_subscriptions_listen=changes.listening,
    )  # fmt: skip
    told = partial(server.create_initialization_options, NotificationOptions(tools_changed=True))
    server.create_initialization_options = told  # type: ignore[method-assign]  # sessions over HTTP take no others
    return server


def _start(cursor: str | None) -> int:
    """The place in the list that a cursor of ours names; what is none of ours begins anew."""
    return int(cursor) if cursor and cursor.isascii() and cursor.isdigit() and len(cursor) < 9 else 0
