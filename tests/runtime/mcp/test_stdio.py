"""What a server that is a program may do on its standard streams, up to each bound; what it does beyond ends its run."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from runtime.errors import HandBroken
from runtime.mcp import patience, stdio
from tests.runtime.mcp.side import run
from tests.system.mcp_servers import PYTHON, RAW

pytestmark = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")


async def _ended(program: str) -> str:
    """Why the talk with this one ends."""
    why = "nothing was wrong"
    pipes = stdio.Pipes((PYTHON, "-c", RAW + program), {"PATH": "/usr/bin:/bin"})
    try:
        async with pipes.streams() as (told, _):
            async for _ in told:
                pass
            await asyncio.shield(pipes.program.ended)
    except* HandBroken as broken:
        why = str(broken.exceptions[0])
    finally:
        with suppress(ProcessLookupError):
            os.killpg(pipes.program.pid, signal.SIGKILL)
        await asyncio.shield(pipes.program.ended)
    return why


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("tell(id=1, result={})", "nothing was wrong"),
        ("while True: write('la')", "the last 1001 lines or events that it sent were not messages"),
        ("while True: sys.stdout.write('x' * 65536)", "a line on its standard output is longer than 8 MiB"),
        ("os.close(1)\ntime.sleep(60)", "it closed its standard output, the only way to hear it, and goes on"),
        ("for n in range(65): tell(id=n, method='ping')\nhear()", "it has more than 64 requests open"),
        ("while True: tell(method='notifications/progress')", "it sent 300 messages in a row and answered nothing"),
    ],
    ids=["well", "nonsense", "line", "closed", "asks", "tells"],
)
def test_what_a_program_does_beyond_a_bound_ends_it(monkeypatch: pytest.MonkeyPatch, program: str, why: str) -> None:
    monkeypatch.setattr(patience, "UNASKED_MOST", 300)  # the real one takes longer than a test should last
    assert run(_ended(program)) == why


@pytest.mark.parametrize("program", [PYTHON, "/no/such/program"])
def test_pipes_are_closed_where_nobody_has_begun_to_talk(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    @asynccontextmanager
    async def never_begun(*_: object) -> AsyncIterator[None]:  # as where the loop ends before its tasks have begun
        yield

    async def used() -> tuple[list[str], list[str]]:
        before, pipes = os.listdir("/proc/self/fd"), None
        with suppress(HandBroken):
            pipes = stdio.Pipes((program, "-c", "pass"), {"PATH": "/usr/bin:/bin"})
            async with pipes.streams():
                pass
        if pipes is not None:
            await asyncio.shield(pipes.program.ended)
        return before, os.listdir("/proc/self/fd")

    monkeypatch.setattr(stdio, "transport", never_begun)
    before, after = run(used())
    assert after == before
