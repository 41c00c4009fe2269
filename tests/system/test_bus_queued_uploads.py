"""What a Hand's runs have sent in calls that wait for their provider is kept by the kernel, and bounded for all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests.holding import KEPT_MOST
from tests.living import ECHO, Kernel, Source, install, make_home
from tests.system import fates
from tests.system.fates import call, ran, table
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

TAKER = Source(
    """
[hand]
name = "taker"
version = "1.0.0"
description = "Takes an upload in a run of its own, which needs a second to start."
entry = "main:Taker"
kind = "task"
autonomy = "full"

[provides."taker.take"]
summary = "Tell what was uploaded"
resource = "none"
effect = "read"
""",
    """
import asyncio
from runtime import Call, Hand


class Taker(Hand):
    async def start(self) -> None:
        await asyncio.sleep(1.0)

    async def take(self, call: Call) -> object:
        return [piece async for piece in call.upload]
""",
)

GIVER = Source(
    FILLER.toml.replace("filler", "giver").replace("Filler", "Giver").replace("sink.take", "taker.take"),
    """
from runtime import Hand


class Giver(Hand):
    async def run(self, pieces: int) -> object:
        async with self.kernel.stream("taker.take", timeout=20.0, upload=True) as stream:
            for number in range(pieces):
                await stream.send(bytes([number]))
                await self.sleep(0.2)
            await stream.finish()
            while await stream.read() is not None:
                pass
            return stream.reply.value
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, SINK)
        for hand in (FILLER, TAKER, GIVER):
            install(kernel, hand)
        yield kernel


@pytest.mark.wide
def test_uploads_that_wait_for_their_provider_do_not_fill_the_kernel(kernel: Kernel) -> None:
    before = fates.resident(kernel.pid)
    told = table(call(kernel, "kernel.start", "filler", {"inputs": {"calls": 30}, "wait": True}, seconds=40))
    assert told["outcome"] == "done", told
    peak = int((Path(f"/proc/{kernel.pid}/status").read_text().partition("VmHWM:")[2].split())[0]) * 1024
    assert peak - before < KEPT_MOST + 64 * MIB, f"it grew by {(peak - before) // MIB} MiB"
    assert "room" in list(told["value"])  # type: ignore[arg-type]


def test_what_is_uploaded_while_a_run_starts_comes_to_it_whole_and_after_its_call(kernel: Kernel) -> None:
    """It is on the bus before its start() has returned, and is not told of the call until then."""
    with kernel.client() as client:
        found = ran(client, "giver", pieces=7)
    assert (found["outcome"], found["value"]) == ("done", [bytes([number]) for number in range(7)]), found
