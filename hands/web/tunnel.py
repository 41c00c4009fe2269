"""Carries bytes both ways between a caller and an open connection until one side ends (acts).

When the caller's upload ends, the connection is half closed, and what the server still sends goes to the caller. When the
server ends, the call ends: a call's stream has no other way to tell its caller. An upload that ends without a byte is a
probe: the connection was made, which was the question, and the call ends.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dialling import READ_SIZE, Link
from http_hop import Send


@dataclass
class Carried:
    """Bytes carried so far. sent: to the server; received: from it."""

    sent: int = 0
    received: int = 0


async def carry(link: Link, upload: AsyncIterator[bytes], send: Send, carried: Carried) -> None:
    """Returns when the server ends or the probe is over. Raises OSError if the connection breaks, and what `send` raises."""
    up = asyncio.create_task(_up(link, upload, carried))
    down = asyncio.create_task(_down(link, send, carried))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        if not down.done():
            await up
            if carried.sent:
                await down
        else:
            await down
    finally:
        up.cancel()
        down.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _up(link: Link, upload: AsyncIterator[bytes], carried: Carried) -> None:
    async for chunk in upload:
        link.writer.write(chunk)
        await link.writer.drain()
        carried.sent += len(chunk)
    if carried.sent:
        link.writer.write_eof()


async def _down(link: Link, send: Send, carried: Carried) -> None:
    while piece := await link.reader.read(READ_SIZE):
        await send(piece)
        carried.received += len(piece)
