"""Sealed Hands that ask for very much at once and do not look at it for a while, and the service that gives it to them."""

from tests.living import Source

HEAD = """
[hand]
name = "{name}"
version = "1.0.0"
description = "{what}"
entry = "main:{entry}"
kind = "{kind}"
autonomy = "full"

[limits]
memory = "2GiB"
wall = "10m"
calls_per_minute = 60000
in_flight = 1024
"""

ASKS = """
[capabilities]
"plenty.*" = ["*"]
"busy-sink.*" = ["*"]
"""

PLENTY = Source(
    HEAD.format(name="plenty", what="Gives much, to all at once.", entry="Plenty", kind="service")
    + """
[provides."plenty.give"]
summary = "So many bytes, once plenty.open was called"
resource = "none"
effect = "read"
params = { size = "int" }

[provides."plenty.flow"]
summary = "Pieces of 256 KiB, once plenty.open was called"
resource = "none"
effect = "read"
params = { count = "int" }

[provides."plenty.open"]
summary = "Answer so many that wait, a second after this one"
resource = "none"
effect = "read"
params = { count = "int" }

[provides."plenty.wait"]
summary = "Wait for plenty.release"
resource = "none"
effect = "read"

[provides."plenty.release"]
summary = "Let those who wait go on"
resource = "none"
effect = "read"
""",
    """
import asyncio
from runtime import Call, Hand


class Plenty(Hand):
    async def start(self):
        self.come, self.waiting = asyncio.Condition(), 0
        self.gate, self.last = asyncio.Event(), asyncio.Event()

    async def opened(self):
        async with self.come:
            self.waiting += 1
            self.come.notify_all()
        await self.gate.wait()

    async def give(self, call: Call, size: int) -> str:
        await self.opened()
        return "x" * size

    async def flow(self, call: Call, count: int) -> None:
        await self.opened()
        for n in range(count):
            await call.send(bytes([n]) * 262_144)

    async def open(self, call: Call, count: int) -> None:
        async with self.come:
            await self.come.wait_for(lambda: self.waiting >= count)
        asyncio.get_running_loop().call_later(1.0, self.gate.set)

    async def wait(self, call: Call) -> None:
        await self.last.wait()

    async def release(self, call: Call) -> None:
        self.last.set()
""",
)

ASKING = """
import asyncio, time
from hashlib import sha256
from runtime import Call, Hand


async def results(kernel, count, held, before=0):
    '''So many results of a megabyte at once; the loop is held while they come.'''
    works = [asyncio.create_task(kernel.call("plenty.give", size=1_000_000)) for _ in range(count)]
    await kernel.call("plenty.open", count=before or count)
    time.sleep(held)
    return sum([len((await work).value) for work in works])


async def streams(kernel, count, pieces):
    '''So many streams at once; what is told of them is the same for all that came whole.'''

    async def one():
        digest = sha256()
        async with kernel.stream("plenty.flow", count=pieces) as stream:
            async for piece in stream:
                digest.update(piece)
        return digest.hexdigest()

    works = [asyncio.create_task(one()) for _ in range(count)]
    await kernel.call("plenty.open", count=count)
    return sorted(set(await asyncio.gather(*works)))
"""

BUSY = Source(
    HEAD.format(name="busy", what="Asks for much, and looks at it later.", entry="Busy", kind="task") + ASKS,
    ASKING
    + """

class Busy(Hand):
    async def run(self, what: str, count: int, held: float = 0, more: int = 0):
        if what == "streams":
            return await streams(self.kernel, count, more)
        got = await results(self.kernel, count, held, more)
        if what == "twice":
            await self.kernel.note("all has come")
            await self.kernel.call("plenty.wait")
        return got
""",
)

BUSY_SERVICE = Source(
    HEAD.format(name="busy-service", what="As busy, as a service.", entry="Busy", kind="service")
    + ASKS
    + """
[provides."busy-service.ask"]
summary = "Ask for much"
resource = "none"
effect = "read"
params = { what = "string", count = "int", held = "float", more = "int" }
""",
    ASKING
    + """

class Busy(Hand):
    async def ask(self, call: Call, what: str, count: int, held: float, more: int):
        if what == "streams":
            return await streams(self.kernel, count, more)
        return await results(self.kernel, count, held, more)
""",
)

BUSY_SINK = Source(
    HEAD.format(name="busy-sink", what="Takes uploads.", entry="Sink", kind="service")
    + """
[provides."busy-sink.take"]
summary = "Take all of an upload"
resource = "none"
effect = "read"
""",
    """
from hashlib import sha256
from runtime import Call, Hand


class Sink(Hand):
    async def take(self, call: Call) -> str:
        digest = sha256()
        async for piece in call.upload:
            digest.update(piece)
        return digest.hexdigest()
""",
)

UPLOADERS = {
    name: Source(
        HEAD.format(name=name, what="Uploads much at once.", entry="Uploader", kind="task") + ASKS,
        """
import asyncio
from contextlib import AsyncExitStack
from runtime import Hand


class Uploader(Hand):
    async def run(self, count: int, pieces: int):
        async with AsyncExitStack() as stack:
            sink = [self.kernel.stream("busy-sink.take", upload=True) for _ in range(count)]
            streams = [await stack.enter_async_context(one) for one in sink]
            await self.kernel.call("plenty.open", count=0)
            await self.sleep(2)
            return sorted(set(await asyncio.gather(*(self.fill(one, pieces) for one in streams))))

    async def fill(self, stream, pieces):
        for n in range(pieces):
            await stream.send(bytes([n]) * 1_000_000)
        await stream.finish()
        while await stream.read() is not None:
            pass
        return stream.reply.value
""",
    )
    for name in ("uploader-one", "uploader-two", "uploader-three")
}

FLOODER = Source(
    HEAD.format(name="flooder", what="Asks for ever more while it is told again.", entry="Flooder", kind="task") + ASKS,
    """
import asyncio, time
from runtime import Hand
from wire import headers


class Flooder(Hand):
    async def run(self):
        was_here = time.clock_gettime(time.CLOCK_REALTIME) - asyncio.get_running_loop().time() > 5
        async with self.kernel.stream("plenty.flow", count=16) as stream:
            if was_here:  # what it was told before does not come to an end, for it gives no room for more pieces
                for work in (self.kernel.note("all has come"), self.kernel.call("plenty.wait")):
                    asyncio.ensure_future(work)
                    await asyncio.sleep(0)
                for number in range(1_001, 2_201, 2):
                    self.kernel._calls._link.send(headers.Call(number=number, method="plenty.give"), bytes(1_000_000))
                time.sleep(600)
            async for _ in stream:
                pass
        await self.kernel.note("all has come")
        await self.kernel.call("plenty.wait")
""",
)
