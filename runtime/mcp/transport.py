"""What the package talks through (acts): two streams of messages, and the tasks that carry them to and from a peer."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

Incoming: TypeAlias = MemoryObjectSendStream[SessionMessage | Exception]
"""Where what the peer said goes."""

Outgoing: TypeAlias = MemoryObjectReceiveStream[SessionMessage]
"""Where what the peer is to be told comes from."""


@asynccontextmanager
async def transport(
    read: Callable[[Incoming], Coroutine[object, object, None]],
    write: Callable[[Outgoing], Coroutine[object, object, None]],
) -> AsyncIterator[TransportStreams]:
    """The messages both ways, until the block is left. What read or write raises comes out of it, in a group."""
    told, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, said = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as group:
        group.start_soon(read, told)
        group.start_soon(write, said)
        try:
            yield incoming, outgoing
        finally:
            group.cancel_scope.cancel()
            for stream in (told, incoming, outgoing, said):
                stream.close()
