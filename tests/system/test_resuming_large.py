"""A run that reads or writes a hundred megabytes goes on without the kernel ever holding much of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.system import chaos
from tests.system.fates import entry
from tests.system.test_resuming import begin, kill

CHUNKS = 400
MOST = 80 * 1024 * 1024

BULK = Source(
    """
[hand]
name = "bulk"
version = "1.0.0"
description = "Streams much."
entry = "main:Bulk"
kind = "service"
autonomy = "full"

[provides."bulk.flow"]
summary = "Large chunks"
resource = "none"
effect = "read"
params = { count = "int" }

[provides."bulk.take"]
summary = "Take all of an upload"
resource = "none"
effect = "read"
""",
    """
from runtime import Call, Hand


class Bulk(Hand):
    async def flow(self, call: Call, count: int) -> None:
        for n in range(count):
            await call.send(bytes([n % 256]) * 262_144)

    async def take(self, call: Call) -> None:
        async for _ in call.upload:
            pass
""",
)

READER = Source(
    """
[hand]
name = "reader"
version = "1.0.0"
description = "Reads much."
entry = "main:Reader"
kind = "task"
autonomy = "full"

[capabilities]
"bulk.flow" = ["*"]
""",
    """
from hashlib import sha256

from runtime import Hand


class Reader(Hand):
    async def run(self, count):
        digest = sha256()
        async with self.kernel.stream("bulk.flow", count=count) as stream:
            async for chunk in stream:
                digest.update(chunk)
        await self.kernel.note("all is read")
        await self.sleep(3)
        return digest.hexdigest()
""",
)

WRITER = Source(
    READER.toml.replace("reader", "writer").replace("Reader", "Writer").replace("flow", "take"),
    """
from runtime import CallFailed, Hand


class Writer(Hand):
    async def run(self, count):
        try:
            async with self.kernel.stream("bulk.take", upload=True) as stream:
                for _ in range(count):
                    await self.kernel.budget()
                    await stream.send(bytes(1_000_000))
                await self.kernel.note("all is sent")
                await self.sleep(2)
                await stream.read()
        except CallFailed as error:
            return error.code
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        for hand in (BULK, READER, WRITER):
            install(kernel, hand)
        yield kernel


def peak(kernel: Kernel) -> int:
    """The most memory that the kernel's process ever held, in bytes."""
    lines = Path(f"/proc/{kernel.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


@pytest.mark.wide
def test_a_large_tape_is_written_and_told_in_little_memory(kernel: Kernel) -> None:
    from hashlib import sha256

    run = begin(kernel, "reader", count=CHUNKS)
    entry(kernel.home, "note", why="all is read", seconds=60)
    tape = kernel.home / "journal" / "runs" / f"{run}.tape"
    assert tape.stat().st_size > CHUNKS * 262_144
    assert peak(kernel) < MOST
    kill(kernel, "run", "reader")
    kernel.kill()
    kernel.up()
    outcome = chaos.outcome_of(kernel, run)
    whole = sha256(b"".join(bytes([n % 256]) * 262_144 for n in range(CHUNKS)))
    assert outcome["value"] == whole.hexdigest(), outcome
    assert peak(kernel) < MOST


@pytest.mark.wide
def test_of_a_large_upload_that_broke_off_with_the_kernel_nothing_is_kept_that_nobody_hears(kernel: Kernel) -> None:
    """Its run says all of it again before it is told that it broke off: it was ended when that was more than may wait."""
    run = begin(kernel, "writer", count=160)
    entry(kernel.home, "note", why="all is sent", seconds=60)
    kernel.kill()
    kernel.up()
    outcome = chaos.outcome_of(kernel, run)
    assert outcome["value"] == "interrupted", outcome
    assert peak(kernel) < MOST
