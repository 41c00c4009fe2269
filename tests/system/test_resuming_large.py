"""A tape of a hundred megabytes is written and told without the kernel ever holding much of it."""

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
""",
    """
from runtime import Call, Hand


class Bulk(Hand):
    async def flow(self, call: Call, count: int) -> None:
        for n in range(count):
            await call.send(bytes([n % 256]) * 262_144)
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


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        for hand in (BULK, READER):
            install(kernel, hand)
        yield kernel


def peak(kernel: Kernel) -> int:
    """The most memory that the kernel's process ever held, in bytes."""
    lines = Path(f"/proc/{kernel.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


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
