"""`Door`, the Hand through which clients of the Model Context Protocol call the methods that it is granted (acts).

Each client's session is one call to this Hand, made by `maniple mcp serve` in the operator's name, and each tool call is a
call of this Hand in answer to it: so it is checked against this Hand's grants, held, paid, logged, and cancelled when the
client goes. The kernel says which tools there are, and lists only what this Hand is granted.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Final

import msgspec
from mcp.server.lowlevel import Server
from mcp_types import CallToolResult, Tool

from manifests.mcp import door
from runtime.agent import tools
from runtime.calls import answering
from runtime.errors import CallEnded, Failure, HandBroken, first_of
from runtime.hand import Event, Hand
from runtime.mcp import answers
from runtime.mcp.changes import SESSION, Changes
from runtime.mcp.lines import Lines
from runtime.mcp.offering import REQUEST_ID, Report, server_of
from runtime.mcp.offers import Offer, Row, offers_of
from runtime.mcp.room import Room
from runtime.mcp.web import Gate, Web
from runtime.serving import Call
from wire.errors import CodecError
from wire.rates import Rate

STREAM_MOST: Final = 4 * 1024 * 1024
"""Most bytes of a stream in a result; beyond that the call is cancelled."""

STREAMS_MOST: Final = 24 * 1024 * 1024
"""Most bytes of streams collected at once, for all clients; beyond that they wait for each other."""

TAKES_MOST: Final = 24 * 3_600.0
"""Seconds that a call may take; a client can give up earlier. Waiting for the operator does not count."""

QUIET: Final = 1.0
"""Seconds after which a client is told that its call waits for the operator, if it does."""

REMINDED: Final = 15.0
"""Seconds until it is told again, so that a client with a timeout for silence goes on waiting."""

HEARS_WITHIN: Final = 2.0
"""Seconds in which a client must take a progress report; if not, it gets no more for that call."""

PER_MINUTE: Final = 6_000
"""Calls and lists a minute of one client; its Hand may make ten times as many, for all clients."""

_PACE: Final[ContextVar[Rate]] = ContextVar("pace")
"""The rate of the client that a task works for; tasks inherit it."""

_LINES: Final[ContextVar[Lines | None]] = ContextVar("lines", default=None)
"""The client on standard streams that a task works for."""

_SETTLED: Final = 0.2  # seconds for which changes are collected
_TOLD_MOST: Final = 8  # different lists that clients have got since the last change
_FRESH: Final = 5.0  # seconds for which a list of tools is valid for calls


class _Progress:
    """Reports a call's progress to its client, with growing numbers, as the protocol requires."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._done = 0
        self._is_heard = True

    async def report(self, done: int, text: str | None = None) -> None:
        """Reports progress. done: bytes received. A client that does not take it gets no more: others wait for its memory."""
        self._done = max(self._done + 1, done)
        if self._is_heard:
            try:
                async with asyncio.timeout(HEARS_WITHIN):
                    await self._report(self._done, None, text)
            except TimeoutError:
                self._is_heard = False


class Door(Hand):
    """Connects clients outside to the bus."""

    async def start(self) -> None:
        """Makes the server for all clients."""
        self._offers: dict[str, Offer] = {}
        self._looked = float("-inf")
        self._told: list[list[Tool]] = []
        self._may_have_changed, self._changes = asyncio.Event(), Changes()
        self._room = Room(STREAMS_MOST)
        self._server = self.server()
        self._web = Web(self._server)
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.in_background(self._keep_open(opened))
        await opened
        self._works = self._read_works()
        with suppress(CallEnded):  # a door of an older `maniple mcp offer` may not: its clients poll
            await self.kernel.subscribe(door.CHANGED)
            self.in_background(self._watch())

    def server(self) -> Server:
        """The server for all clients."""
        return server_of(self.name, self.version, "", self, self._changes)

    async def talk(self, call: Call) -> dict[str, object]:
        """Serves one client on standard streams until it ends."""
        _PACE.set(Rate(PER_MINUTE, asyncio.get_running_loop().time()))
        key, lines = f"talk {call.number}", Lines(call)
        SESSION.set(key)
        _LINES.set(lines)
        try:
            with self._web.counting(lines):
                async with lines.streams() as (incoming, outgoing):
                    await self._server.run(incoming, outgoing, self._server.create_initialization_options())
        except BaseExceptionGroup as group:
            if isinstance(first := first_of(group), Failure):
                raise first from None
            raise
        finally:
            self._changes.drop(key)
        return {}

    async def connect(self, call: Call, digest: str, port: int) -> dict[str, object]:
        """Serves one HTTP connection. digest: of the token that each request must have. port: that it came in at."""
        _PACE.set(Rate(PER_MINUTE, asyncio.get_running_loop().time()))
        await self._web.connection(call, Gate(digest, port))
        return {}

    def _read_works(self) -> dict[str, door.Work]:
        try:
            return door.read(self.files.get(door.FILE, b"{}")).hands
        except door.WorksInvalid as error:
            raise HandBroken(str(error)) from None

    async def _keep_open(self, opened: "asyncio.Future[None]") -> None:
        async with self._web.open():
            opened.set_result(None)
            await asyncio.Event().wait()

    # tools ------------------------------------------------------------------------------------------------------------

    async def list_tools(self) -> Sequence[Tool]:
        """The granted methods as tools; for a client that asks too often, a list of some seconds ago."""
        rows = [one.tool for one in (await self._offered(fresh=_FRESH if self._is_hasty() else 0.0)).values()]
        if rows not in self._told:
            self._told = [*self._told, rows][-_TOLD_MOST:]
        return rows

    async def on_event(self, event: Event) -> None:
        """Notes that the callable methods may have changed."""
        self._may_have_changed.set()

    async def _watch(self) -> None:
        """Tells clients when the tools differ from a list that one of them may have got since the last time."""
        while True:
            await self._may_have_changed.wait()
            await asyncio.sleep(_SETTLED)
            self._may_have_changed.clear()
            with suppress(CallEnded):
                rows = [one.tool for one in (await self._offered(fresh=0.0)).values()] if self._told else []
                if any(one != rows for one in self._told):
                    self._told = [rows]
                    await self._changes.notify()

    async def call_tool(self, name: str, arguments: dict[str, object], report: Report) -> CallToolResult:
        """Makes the call that a tool stands for."""
        if self._is_hasty():
            return answers.of_error(f"more than {PER_MINUTE} calls a minute: wait", end="refused", code="rate")
        offers = await self._offered(fresh=_FRESH)
        if name not in offers:
            offers = await self._offered(fresh=0.0)
        if name not in offers:
            return answers.of_error(tools.unknown_tool(name, offers), end="refused", code="unknown")
        ready = offers[name].prepare(arguments)
        if isinstance(ready, str):
            return answers.of_error(f"the arguments do not fit: {ready}", end="failed", code="arguments")
        progress = _Progress(report)
        waits = asyncio.create_task(self._tell_that_it_waits(ready, progress))
        try:
            if ready.method == door.SPAWN:
                return await self._make_run(ready)
            return await self._make_call(ready, offers[name].returns, progress, waits)
        except CallEnded as ended:
            return answers.of_end(ended)
        except CodecError as error:
            return answers.of_error(str(error), end="failed", code="too-large")
        finally:
            waits.cancel()
            await asyncio.gather(waits, return_exceptions=True)

    async def _make_call(
        self, ready: tools.PreparedCall, returns: Mapping[str, str], progress: "_Progress", waits: "asyncio.Task[None]"
    ) -> CallToolResult:
        pieces, whose = bytearray(), object()
        try:
            async with self.kernel.stream(ready.method, ready.resource, ready.arguments, timeout=TAKES_MOST) as stream:
                async for piece in stream:
                    waits.cancel()
                    await self._room.take(whose, len(piece))
                    pieces += piece
                    if len(pieces) > STREAM_MOST:
                        await self._make_room(STREAM_MOST)
                        return answers.of_cut(ready.method, ready.resource, bytes(pieces[:STREAM_MOST]))
                    await progress.report(len(pieces))
                reply = stream.reply
            if pieces:
                await self._make_room(len(pieces))
            return answers.of_reply(ready.method, ready.resource, reply, bytes(pieces), returns)
        finally:
            self._room.release(whose)

    async def _make_room(self, size: int) -> None:
        """Waits until an answer of so many bytes may be made; it counts until its client has read it."""
        await self._web.room(size * 4 // 3)
        lines, number = _LINES.get(), REQUEST_ID.get()
        if lines is not None and number is not None:
            lines.owe(number, size * 4 // 3)

    async def _make_run(self, ready: tools.PreparedCall) -> CallToolResult:
        """Starts a run and waits for it. If the call is cancelled, stops it, or keeps it from beginning."""
        begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.in_background(self._begin_run(ready, begun, answering.get()))
        is_over = False
        try:
            reply = await self.kernel.call("kernel.wait", "", {"run": await begun}, timeout=TAKES_MOST)
            is_over = True
        finally:
            if not is_over and begun.done() and not begun.cancelled() and begun.exception() is None:
                self.in_background(self._stop_run(begun.result()))
        return answers.of_run(reply)

    async def _begin_run(self, ready: tools.PreparedCall, begun: "asyncio.Future[str]", parent: int) -> None:
        """Starts a run, in answer to the call `parent`, and sets `begun` to its id or to why it did not begin.

        Nobody may want it any more, `begun` being cancelled, while the kernel's answer that it has begun is on its way.
        """
        answering.set(parent)
        try:
            async with self.kernel.stream(ready.method, ready.resource, ready.arguments, timeout=TAKES_MOST) as stream:
                begun.add_done_callback(lambda _: stream.cancel("its client gave it up"))
                await stream.read()
                reply = stream.reply
        except (CallEnded, CodecError) as ended:
            if not begun.done():
                begun.set_exception(ended)
            return
        assert isinstance(reply.value, dict)
        run = str(reply.value["run"])
        if begun.cancelled():
            await self._stop_run(run)
        else:
            begun.set_result(run)

    async def _stop_run(self, run: str) -> None:
        with suppress(CallEnded):  # the run may have ended meanwhile
            await self.kernel.stop(run)

    async def _tell_that_it_waits(self, ready: tools.PreparedCall, progress: "_Progress") -> None:
        """Tells the client, if its call does not end soon, that it waits for a person's yes, if it does."""
        await asyncio.sleep(QUIET)
        try:
            if not (await self.kernel.check(ready.method, ready.resource)).approval:
                return
        except CallEnded:
            return
        while True:
            await progress.report(
                0, f"{ready.method} needs the operator's yes, and waits until then: `maniple approvals`"
            )
            await asyncio.sleep(REMINDED)

    def _is_hasty(self) -> bool:
        """Counts a request of this client. Returns whether it is beyond its rate."""
        return _PACE.get().take(asyncio.get_running_loop().time()) != "ok"

    async def _offered(self, *, fresh: float) -> dict[str, Offer]:
        """The tools by name; asks the kernel again if the last answer is older than `fresh` seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._looked > fresh or not self._offers:
            rows = [msgspec.convert(row, Row) for row in await self.kernel.describe()]
            own = [row for row in rows if not row.method.startswith((f"{self.name}.", "kernel."))]
            works = {
                hand: work for hand, work in self._works.items() if (await self.kernel.check(door.SPAWN, hand)).allowed
            }
            self._offers = offers_of(own, self._place.manifest.capabilities, works)
            self._looked = now
        return self._offers
