"""The package's transport (acts): two message streams, and the tasks that carry messages to and from a peer."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

Incoming: TypeAlias = MemoryObjectSendStream[SessionMessage | Exception]
"""Takes the peer's messages."""

Outgoing: TypeAlias = MemoryObjectReceiveStream[SessionMessage]
"""Yields the messages to the peer."""


@asynccontextmanager
async def transport(
    read: Callable[[Incoming], Coroutine[object, object, None]],
    write: Callable[[Outgoing], Coroutine[object, object, None]],
) -> AsyncIterator[TransportStreams]:
    """Yields the message streams, and runs `read` and `write` meanwhile. Raises what they raise, in a group."""
    received, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as group:
        group.start_soon(read, received)
        group.start_soon(write, to_send)
        try:
            yield incoming, outgoing
        finally:
            group.cancel_scope.cancel()
            for stream in (received, incoming, outgoing, to_send):
                stream.close()
