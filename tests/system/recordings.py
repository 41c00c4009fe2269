"""Runs worth replaying: a Hand whose parts compete, the service that it calls, and replaying as people do it."""

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tests.cli.shell import Shell
from tests.living import Kernel, Source

SLOW: Final = Source(
    """
[hand]
name = "slow"
version = "1.0.0"
description = "Takes its time."
entry = "main:Slow"
kind = "service"
autonomy = "full"

[provides."slow.answer"]
summary = "Answer after a while"
resource = "name"
effect = "read"
labels = ["slow"]
params = { seconds = "float" }

[provides."slow.count"]
summary = "Count, as a stream, whatever is uploaded meanwhile"
resource = "name"
effect = "read"
params = { most = "int", rest = "float?" }
""",
    """
import asyncio

from runtime import Call, Failure, Hand


class Slow(Hand):
    async def answer(self, call: Call, seconds: float) -> dict[str, object]:
        await asyncio.sleep(seconds)
        if call.resource == "bad":
            raise Failure("bad", "it is bad")
        call.cost(tokens=3, micro_dollars=7)
        return {"name": call.resource}

    async def count(self, call: Call, most: int, rest: float = 0.0) -> dict[str, object]:
        got = [piece async for piece in call.upload] if call.uploads else []
        for number in range(most):
            await call.send(b"%d" % number)
            if rest:
                await asyncio.sleep(rest)
        return {"got": len(got)}
""",
)

RACER: Final = Source(
    """
[hand]
name = "racer"
version = "1.0.0"
description = "Does many things at once."
entry = "main:Racer"
kind = "task"
autonomy = "full"
needs = ["slow"]

[capabilities]
"slow.*" = ["*"]
"kernel.publish" = ["*"]
"kernel.subscribe" = ["*"]

[events]
publishes = ["lap"]
subscribes = ["racer.lap"]

[settings.pace]
type = "float"
default = 0.01

[settings.token]
type = "string"
secret = true
default = "none"
""",
    """
import asyncio
import random
import time
import uuid

from runtime import CallFailed, Hand


class Racer(Hand):
    heard = 0

    async def on_event(self, event):
        self.heard += 1

    async def run(self, wide: int = 6) -> dict[str, object]:
        await self.kernel.subscribe("racer.lap")
        told = []

        async def one(name, seconds):
            try:
                reply = await self.kernel.call("slow.answer", name, {"seconds": seconds})
            except CallFailed as error:
                told.append(error.code)
                return
            told.append(reply.value["name"])
            await asyncio.sleep(self.random.random() / 100)
            told.append(f"{name} rested")

        await asyncio.gather(*(one(f"g{n}", self.random.random() * 0.05) for n in range(wide)), one("bad", 0.01))
        racing = {asyncio.create_task(one(f"r{n}", n * 0.03)) for n in range(3)}
        done, left = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        told.append(f"{len(done)} first")
        try:
            await asyncio.wait_for(self.kernel.call("slow.answer", "late", {"seconds": 5.0}), 0.05)
        except TimeoutError:
            told.append("timed out")
        async with self.kernel.stream("slow.count", "s", {"most": 30}) as stream:
            async for piece in stream:
                told.append(piece.decode())
        async with self.kernel.stream("slow.count", "u", {"most": 3}, upload=True) as stream:
            for n in range(20):
                await stream.send(b"%d" % n)
            await stream.finish()
            async for piece in stream:
                told.append(piece.decode())
        told.append(stream.reply.value["got"])
        await self.publish("lap", {"told": len(told)})
        await self.sleep(0.01)
        secret = (await self.kernel.settings())["token"]
        drawn = [random.random(), str(uuid.uuid4()), time.time(), str(self.now()), self.run_id, len(secret)]
        await self.kernel.note(f"{told} {drawn} {self.heard} {sorted(set(map(str, told)), key=hash)}")
        return {"told": told, "heard": self.heard}
""",
)


class Said(NamedTuple):
    """What a command said: its code, its words, and the objects of its result when asked for JSON."""

    code: int
    out: str
    words: str

    @property
    def rows(self) -> list[dict[str, object]]:
        """Each line as an object."""
        return [msgspec.json.decode(line) for line in self.out.splitlines()]

    @property
    def verdict(self) -> dict[str, object]:
        """The last of them."""
        found = self.rows[-1]["verdict"]
        assert isinstance(found, dict)
        return found


def maniple(home: Path, *words: str) -> Said:
    """A command, as a person types it."""
    return Said(*Shell(home).run(*words))


def replay(kernel: Kernel, run: str, *words: str) -> Said:
    """`maniple replay RUN --json`."""
    return maniple(kernel.home, "replay", run, "--json", *words)
