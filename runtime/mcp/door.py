"""A door: the Hand through which clients of the Model Context Protocol call what it was granted (acts).

Each client's talk is one call to this Hand, made by `maniple mcp serve` in the operator's name, and each call of a tool is
one of this Hand's, in answer to that: so it is checked against this Hand's grants, held, paid, logged, and given up when the
client goes. Which tools there are is asked of the kernel, which tells this Hand only what it is granted.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from mcp.server.lowlevel import Server
from mcp_types import CallToolResult, Tool, ToolAnnotations

from runtime.agent import tools
from runtime.errors import CallEnded, Failure
from runtime.hand import Hand
from runtime.mcp import answers
from runtime.mcp.lines import Lines
from runtime.mcp.offering import Tell, server_of
from runtime.serving import Call
from wire.errors import CodecError

STREAM_MOST: Final = 4 * 1024 * 1024
"""Bytes of a stream that are told; what comes after is given up."""

TAKES_MOST: Final = 24 * 3_600.0
"""Seconds that a call may take; a client gives up when it likes. Waiting for the operator does not count."""

QUIET: Final = 1.0
"""Seconds without an end after which a client is told that its call waits for the operator, if it does."""

REMINDED: Final = 15.0
"""Seconds until it is told again, so that a client that counts silence goes on waiting."""

_FRESH: Final = 5.0  # seconds for which a list of tools is believed when one of them is called


class _Row(tools.Row, frozen=True, kw_only=True):
    """What the kernel tells of a method."""

    idempotent: bool = False


class _Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A tool, and how to call it."""

    tool: Tool
    way: tools.Offered


class Door(Hand):
    """Stands on the bus for clients outside."""

    async def start(self) -> None:
        """Make the server that all clients talk to."""
        self._offers: dict[str, _Offer] = {}
        self._looked = float("-inf")
        self._server: Server = server_of(self.name, self.version, "", self)

    async def talk(self, call: Call) -> dict[str, object]:
        """Talk with one client until it says no more."""
        try:
            async with Lines(call).streams() as (incoming, outgoing):
                await self._server.run(incoming, outgoing, self._server.create_initialization_options())
        except BaseExceptionGroup as group:
            if isinstance(first := _first(group), Failure):
                raise first from None
            raise
        return {}

    # tools ------------------------------------------------------------------------------------------------------------

    async def listed(self) -> Sequence[Tool]:
        """The methods that are granted now, as tools."""
        return [one.tool for one in (await self._offered(fresh=0.0)).values()]

    async def called(self, name: str, arguments: dict[str, object], tell: Tell) -> CallToolResult:
        """Make the call that a tool is."""
        offers = await self._offered(fresh=_FRESH)
        if name not in offers:
            offers = await self._offered(fresh=0.0)
        if name not in offers:
            return answers.of_error(tools.unknown(name, offers), end="refused", code="unknown")
        ready = tools.ready(offers[name].way, arguments)
        if isinstance(ready, str):
            return answers.of_error(f"the arguments do not fit: {ready}", end="failed", code="arguments")
        waits = asyncio.create_task(self._tell_that_it_waits(ready, tell))
        try:
            return await self._called(ready, tell)
        except CallEnded as ended:
            return answers.of_end(ended)
        except CodecError as error:
            return answers.of_error(str(error), end="failed", code="too-large")
        finally:
            waits.cancel()

    async def _called(self, ready: tools.Ready, tell: Tell) -> CallToolResult:
        pieces, cut = bytearray(), False
        async with self.kernel.stream(
            ready.method, ready.resource, ready.arguments, timeout=TAKES_MOST
        ) as stream:  # fmt: skip
            async for piece in stream:
                pieces += piece
                await tell(len(pieces), None, None)
                if cut := len(pieces) > STREAM_MOST:
                    break
            if not cut:
                return answers.of_reply(ready.method, ready.resource, stream.reply, bytes(pieces), cut=False)
        return answers.of_cut(ready.method, ready.resource, bytes(pieces[:STREAM_MOST]))

    async def _tell_that_it_waits(self, ready: tools.Ready, tell: Tell) -> None:
        """Tell the client, once its call has not ended at once, whether a person has to say yes to it."""
        await asyncio.sleep(QUIET)
        try:
            if not (await self.kernel.check(ready.method, ready.resource)).approval:
                return
        except CallEnded:
            return
        told = 0
        while True:
            told += 1
            await tell(0, None, f"{ready.method} waits until the operator says yes (`maniple approvals`)")
            await asyncio.sleep(REMINDED)

    async def _offered(self, *, fresh: float) -> dict[str, _Offer]:
        """The tools by name, asked anew when the last answer is older than `fresh` seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._looked > fresh or not self._offers:
            rows = [msgspec.convert(row, _Row) for row in await self.kernel.describe()]
            own = {row.method: row for row in rows if not row.method.startswith((f"{self.name}.", "kernel."))}
            found = tools.offered(own.values(), self._place.manifest.capabilities, hidden=())
            self._offers = {name: _Offer(tool=_tool(way, own[way.method]), way=way) for name, way in found.items()}
            self._looked = now
        return self._offers


def _tool(way: tools.Offered, row: _Row) -> Tool:
    """A method as the protocol tells of a tool. Its hints are what was pinned when its provider was installed."""
    hints = ToolAnnotations(
        read_only_hint=row.effect == "read",
        destructive_hint=row.effect != "read",
        idempotent_hint=row.idempotent,
        open_world_hint=row.effect == "external",
    )
    return Tool(
        name=way.tool.name, title=row.method, description=way.tool.description,
        input_schema=dict(way.tool.parameters), annotations=hints,
    )  # fmt: skip


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
