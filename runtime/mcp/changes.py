"""Tells clients that the tools of a door have changed (acts).

A client of 2026-07-28 is notified on a stream that it has requested (`subscriptions/listen`), an older one in its session,
once it has requested the list: other clients know no list that could have changed. The notification says only that there is a
change; the client requests the new list. A client that does not take it in time gets no more.
"""

import asyncio
from collections import OrderedDict
from contextvars import ContextVar
from typing import Final

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

CLIENTS_MOST: Final = 64
"""Most streams that listen at once, and most sessions that are notified; the one that asked longest ago is dropped first."""

NOTIFY_S: Final = 2.0
"""Seconds in which a client must take a notification."""

_UNTAKEN_MOST: Final = 16  # most changes that wait for one stream; with one more it ends
_SESSION: Final = "mcp-session-id"

SESSION: Final[ContextVar[str]] = ContextVar("session", default="")
"""The key of a session on standard streams, "" over HTTP; tasks inherit it."""


class Changes:
    """The clients to notify. listening: answers requests for a stream."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._sessions: OrderedDict[str, ServerSession] = OrderedDict()
        self.listening = ListenHandler(self._bus, max_subscriptions=CLIENTS_MOST, max_buffered_events=_UNTAKEN_MOST)

    def subscribe(self, asked: ServerRequestContext) -> None:
        """Notifies the client of this request for the list from now on."""
        session, key = asked.session, SESSION.get()
        if isinstance(asked.request, Request):
            key = asked.request.headers.get(_SESSION, "")
        if not key or session.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return
        self._sessions[key] = session
        self._sessions.move_to_end(key)
        while len(self._sessions) > CLIENTS_MOST:
            self._sessions.popitem(last=False)

    def drop(self, key: str) -> None:
        """Ends the notifications of a session that is over."""
        self._sessions.pop(key, None)

    async def notify(self) -> None:
        """Notifies all clients at once."""
        await self._bus.publish(ToolsListChanged())
        async with asyncio.TaskGroup() as group:
            for key, session in list(self._sessions.items()):
                group.create_task(self._notify(key, session))

    async def _notify(self, key: str, session: ServerSession) -> None:
        try:
            async with asyncio.timeout(NOTIFY_S):
                await session.send_tool_list_changed()
        except (TimeoutError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.drop(key)
