"""What a Hand's runs have sent in calls that wait for their provider is kept by the kernel, and bounded for all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests.holding import KEPT_MOST
from tests.living import ECHO, Kernel, Source, install, make_home
from tests.system import fates
from tests.system.fates import call, table
from wire.limits import MIB

SINK = Source(
    ECHO.toml.replace("echo.say", "sink.take").replace("echo", "sink").replace("Echo", "Sink")
    .replace('params = { text = "string" }\nreturns = { text = "string" }\n', "\n[limits]\nin_flight = 1\n"),
    """
import asyncio
from runtime import Call, Hand


class Sink(Hand):
    async def take(self, call: Call) -> object:
        await asyncio.sleep(4.0)
        return {}
""",
)  # fmt: skip

FILLER = Source(
    """
[hand]
name = "filler"
version = "1.0.0"
description = "Uploads what nobody takes."
entry = "main:Filler"
kind = "task"
autonomy = "full"

[capabilities]
"sink.take" = ["*"]

[limits]
in_flight = 256
memory = "1GiB"
""",
    """
import asyncio
from runtime import CallFailed, CallRefused, Hand


class Filler(Hand):
    async def run(self, calls: int) -> object:
        return await asyncio.gather(*(self.fill(number) for number in range(calls)))

    async def fill(self, number: int) -> str:
        await asyncio.sleep(number * 0.05)
        try:
            async with self.kernel.stream("sink.take", timeout=4.0, upload=True) as stream:
                for _ in range(8):
                    await stream.send(bytes(1000 * 1024))
                await stream.read()
        except (CallFailed, CallRefused) as error:
            return error.code
        return "done"
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, SINK)
        install(kernel, FILLER)
        yield kernel


def test_uploads_that_wait_for_their_provider_do_not_fill_the_kernel(kernel: Kernel) -> None:
    before = fates.resident(kernel.pid)
    told = table(call(kernel, "kernel.start", "filler", {"inputs": {"calls": 30}, "wait": True}, seconds=40))
    assert told["outcome"] == "done", told
    peak = int((Path(f"/proc/{kernel.pid}/status").read_text().partition("VmHWM:")[2].split())[0]) * 1024
    assert peak - before < KEPT_MOST + 64 * MIB, f"it grew by {(peak - before) // MIB} MiB"
    assert "room" in list(told["value"])  # type: ignore[arg-type]
