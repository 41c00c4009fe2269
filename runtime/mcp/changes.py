"""Telling clients that the tools of a door have changed (acts).

A client of 2026-07-28 hears of it on a stream that it has asked for (`subscriptions/listen`). An older one hears of it in
its session, once it has asked for the list: who never asked knows none that could have changed. What a client is told is
that there is a change, and no more; what is there now it asks. One that does not take the word is told nothing further.
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
"""Streams that may listen at once, and sessions that are told; those that asked longest ago are forgotten first."""

TOLD_S: Final = 2.0
"""Seconds in which a client must take the word."""

_UNTAKEN_MOST: Final = 16  # changes that wait for one stream, which then ends
_SESSION: Final = "mcp-session-id"

TALK: Final[ContextVar[str]] = ContextVar("talk", default="")
"""What tells a talk on standard streams from others, "" over HTTP; tasks inherit it."""


class Changes:
    """Who is to be told. listening: answers those who ask for a stream."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._sessions: OrderedDict[str, ServerSession] = OrderedDict()
        self.listening = ListenHandler(self._bus, max_subscriptions=CLIENTS_MOST, max_buffered_events=_UNTAKEN_MOST)

    def heard(self, asked: ServerRequestContext) -> None:
        """A client has asked for the list."""
        session, key = asked.session, TALK.get()
        if isinstance(asked.request, Request):
            key = asked.request.headers.get(_SESSION, "")
        if not key or session.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return
        self._sessions[key] = session
        self._sessions.move_to_end(key)
        while len(self._sessions) > CLIENTS_MOST:
            self._sessions.popitem(last=False)

    def gone(self, key: str) -> None:
        """A talk is over."""
        self._sessions.pop(key, None)

    async def tell(self) -> None:
        """Tell all of them, at once."""
        await self._bus.publish(ToolsListChanged())
        async with asyncio.TaskGroup() as group:
            for key, session in list(self._sessions.items()):
                group.create_task(self._tell(key, session))

    async def _tell(self, key: str, session: ServerSession) -> None:
        try:
            async with asyncio.timeout(TOLD_S):
                await session.send_tool_list_changed()
        except (TimeoutError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.gone(key)
