"""MCP clients for tests: the protocol's own Python package, which starts `maniple mcp serve` (acts)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeVar

from mcp import Client
from mcp.client.session import MessageHandlerFnT
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, TextContent, ToolListChangedNotification

from tests.cli.shell import MANIPLE, Shell
from tests.living import Source

T = TypeVar("T")
TALK_S = 60.0


class ToolChanges:
    """Collects notifications that a client's tools changed: unsolicited in the older protocol, by listening in the newer."""

    def __init__(self, mode: Literal["auto", "legacy"]) -> None:
        self.mode = mode
        self.received: list[object] = []

    async def on_message(self, message: object) -> None:
        """Take an unsolicited notification."""
        if self.mode == "legacy" and isinstance(message, ToolListChangedNotification):
            self.received.append(message)

    @asynccontextmanager
    async def listening(self, client: Client) -> AsyncIterator[None]:
        """Collect notifications during the block."""
        listening = asyncio.ensure_future(self._listen(client)) if self.mode == "auto" else None
        yield
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, client: Client) -> None:
        async with client.listen(tools_list_changed=True) as changes:
            async for change in changes:
                self.received.append(change)


def talk_through(
    shell: Shell,
    door: str,
    talk: Callable[[Client], Awaitable[T]],
    mode: Literal["auto", "legacy"] = "auto",
    on_message: MessageHandlerFnT | None = None,
) -> T:
    """Run talk(client) through a door. mode: "legacy" for the older protocol. on_message: gets notifications."""

    async def connect() -> T:
        command = StdioServerParameters(
            command=MANIPLE[0], args=[*MANIPLE[1:], "mcp", "serve", door], env=shell.environment()
        )
        async with (
            asyncio.timeout(TALK_S),
            Client(stdio_client(command), mode=mode, message_handler=on_message) as client,
        ):
            return await talk(client)

    return asyncio.run(connect())


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds; fails after TALK_S seconds."""
    deadline = time.monotonic() + TALK_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def printed(shell: Shell) -> str:
    """What LAB has printed so far; "" before its first call."""
    path = shell.home / "output" / "lab.log"
    return path.read_text() if path.exists() else ""


def text(result: object) -> str:
    """The text of a result that has exactly one content block."""
    assert isinstance(result, CallToolResult)
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


LAB: Final = Source(
    """
[hand]
name = "lab"
version = "1.0.0"
description = "Does each thing that a call can come to."
entry = "main:Lab"
kind = "service"
autonomy = "full"

[provides."lab.count"]
summary = "Stream so many lines, a chunk each"
resource = "none"
effect = "read"
params = { lines = "int" }
returns = { lines = "int" }

[provides."lab.wait"]
summary = "Wait for ever"
resource = "name"
effect = "read"

[provides."lab.raw"]
summary = "Bytes"
resource = "none"
effect = "read"
labels = ["web"]
params = { raw = "bytes" }

[provides."lab.shout"]
summary = "Shout out of the window"
resource = "none"
effect = "external"
params = { text = "string" }
""",
    """
import asyncio
import time

from runtime import Call, Failure, Hand


class Lab(Hand):
    async def count(self, call: Call, lines: int) -> dict[str, object]:
        for at in range(lines):
            await call.send(f"line {at}\\n".encode())
        call.cost(tokens=7, micro_dollars=11)
        return {"lines": lines}

    async def wait(self, call: Call) -> None:
        print("waiting for", call.resource, flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            print("no longer waiting for", call.resource, flush=True)

    async def raw(self, call: Call, raw: bytes) -> dict[str, object]:
        await call.send(b"\\xff" + raw)
        return {"again": raw}

    async def shout(self, call: Call, text: str) -> str:
        if not text:
            raise Failure("hoarse", "nothing to shout")
        return text.upper()
""",
)
"""A Hand whose methods cover streams, bytes, failures, costs and endless waits."""
