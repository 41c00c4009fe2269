"""Concurrent code meets the same order live and told again: whatever a Hand writes down of what it met is the same."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import chaos
from tests.system.test_resuming import begin, kill
from tests.system.test_resuming_streams import SPRING

TRACER = Source(
    """
[hand]
name = "tracer"
version = "1.0.0"
description = "Does many things at once, and writes down what it met."
entry = "main:Tracer"
kind = "task"
autonomy = "full"

[capabilities]
"spring.*" = ["*"]
"kernel.sleep" = ["*"]

[events]
publishes = ["beat"]
subscribes = ["tracer.beat"]

[limits]
in_flight = 32
calls_per_minute = 100000
""",
    """
import asyncio
import contextlib
import random
import time
from hashlib import sha256

from runtime import CallFailed, Hand


WAYS = "gather first sets cancel timeout slept group leave event spin thread completed".split()


class Tracer(Hand):
    async def start(self):
        self.met = []
        await self.kernel.subscribe("tracer.beat")

    async def on_event(self, event):
        self.met.append(("event", event.body))

    async def run(self, seed=0, steps=12, only=""):
        chance = random.Random(seed)
        for n in range(steps):
            what = only or chance.choice(WAYS)
            self.met.append((what, round(time.time() * 1000)))
            await getattr(self, what)(chance, n)
            await self.kernel.note(sha256(repr(self.met).encode()).hexdigest())  # told again, it asks with the same words
        return self.met

    async def drip(self, name, rest):
        try:
            async with self.kernel.stream("spring.flow", count=1, rest=rest) as stream:
                async for chunk in stream:
                    self.met.append((name, chunk.decode(), round(time.monotonic() * 1000), random.random()))
        except CallFailed as error:
            self.met.append((name, error.code))
        return name

    async def rest(self, name, seconds):
        await asyncio.sleep(seconds)
        self.met.append((name, "rested"))
        return name

    async def gather(self, chance, n):
        self.met.append(await asyncio.gather(*(self.drip(f"g{n}{k}", chance.randrange(30)) for k in range(4))))

    async def first(self, chance, n):
        tasks = [asyncio.create_task(self.drip(f"f{n}{k}", chance.randrange(40)), name=f"f{k}") for k in range(4)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self.met.append(("done", [task.result() for task in done]))
        for task in pending:
            task.cancel()
        self.met.append(len(await asyncio.gather(*pending, return_exceptions=True)))

    async def sets(self, chance, n):
        left = {asyncio.create_task(self.rest(f"s{n}{k}", chance.randrange(20) / 1000)) for k in range(6)}
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            self.met += [task.result() for task in done]

    async def completed(self, chance, n):
        for one in asyncio.as_completed([self.drip(f"c{n}{k}", chance.randrange(20)) for k in range(5)]):
            self.met.append(await one)

    async def cancel(self, chance, n):
        task = asyncio.create_task(self.drip(f"x{n}", 60))
        await asyncio.sleep(chance.randrange(80) / 1000)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        self.met.append(("cancelled", task.cancelled()))

    async def timeout(self, chance, n):
        try:
            async with asyncio.timeout(chance.randrange(1, 60) / 1000):
                await self.drip(f"t{n}", 30)
        except TimeoutError:
            self.met.append("late")

    async def slept(self, chance, n):
        await asyncio.gather(self.rest("a", 0.01), self.kernel.sleep(0.012), self.rest("b", 0.011))

    async def group(self, chance, n):
        async def fall(seconds):
            await asyncio.sleep(seconds)
            raise ValueError(f"fell {n}")

        try:
            async with asyncio.TaskGroup() as group:
                for k in range(4):
                    group.create_task(self.drip(f"p{n}{k}", chance.randrange(50)))
                group.create_task(fall(chance.randrange(40) / 1000))
        except* ValueError as errors:
            self.met.append([str(error) for error in errors.exceptions])

    async def leave(self, chance, n):
        try:
            async with self.kernel.stream("spring.flow", count=40) as stream:
                async for chunk in stream:
                    if int(chunk) >= 11:
                        break
        except CallFailed as error:
            self.met.append(error.code)
        self.met.append("left")

    async def event(self, chance, n):
        for k in range(chance.randrange(3)):
            await self.publish("beat", f"{n} {k}")

    async def spin(self, chance, n):
        task = asyncio.create_task(self.drip(f"w{n}", chance.randrange(20)))
        while not task.done():
            await asyncio.sleep(0)
        self.met.append("spun")

    async def thread(self, chance, n):
        rounds = [chance.randrange(1, 9) * 20_000 for _ in range(3)]

        def work(k):
            return k, sum(range(rounds[k]))

        async def work_then_ask(k):
            self.met.append(("worked", await asyncio.to_thread(work, k)))
            await self.drip(f"h{n}{k}", 5)

        await asyncio.gather(self.drip(f"i{n}", 4), *(work_then_ask(k) for k in range(3)))
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        for hand in (SPRING, TRACER):
            install(kernel, hand)
        yield kernel


def attacked(kernel: Kernel, seed: int, kills: int, victims: tuple[str, ...]) -> None:
    """One run that is killed at instants chosen by seed ends as it would, and never met anything else than before:

    else it would have asked for a note of other words, and have diverged.
    """
    chance = random.Random(seed)
    run = begin(kernel, "tracer", seed=seed)
    for _ in range(kills):
        time.sleep(chance.uniform(0.0, 0.25))
        kill(kernel, chance.choice(victims), "tracer", "spring")
    outcome = chaos.outcome_of(kernel, run)
    assert outcome["outcome"] == "done", outcome


@pytest.mark.parametrize("seed", spread(range(6), 1))
def test_a_run_that_does_many_things_at_once_goes_on_wherever_its_process_is_killed(kernel: Kernel, seed: int) -> None:
    attacked(kernel, seed, 5, ("run",))


@pytest.mark.parametrize("seed", spread(range(6, 9), 1))
def test_so_it_does_wherever_the_kernel_is_killed(kernel: Kernel, seed: int) -> None:
    attacked(kernel, seed, 3, ("kernel", "template", "run"))


@pytest.mark.soak
def test_so_does_a_thousand_times(kernel: Kernel) -> None:
    for seed in range(1_000, 1_250):
        attacked(kernel, seed, 4, ("run", "run", "kernel", "template", "provider"))
