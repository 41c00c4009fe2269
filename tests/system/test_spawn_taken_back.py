"""A spawn that is taken back while its run's process is still being made: the run never comes to do anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.system import chaos, fates
from tests.system.fates import call, entries, entry

CHILD: Final = Source(
    """
[hand]
name = "child"
version = "1.0.0"
description = "Says that it has begun."
entry = "main:Child"
kind = "task"
autonomy = "full"
""",
    """
from runtime import Hand


class Child(Hand):
    async def run(self) -> None:
        await self.kernel.note("it does something")
""",
)
PARENT: Final = Source(
    """
[hand]
name = "parent"
version = "1.0.0"
description = "Takes back what it spawns."
entry = "main:Parent"
kind = "task"
autonomy = "full"

[capabilities]
"kernel.spawn" = ["child"]

[events]
subscribes = ["operator.go", "operator.no"]
""",
    """
import asyncio

from runtime import CallCancelled, Event, Hand


class Parent(Hand):
    async def start(self) -> None:
        self.heard = {"go": asyncio.Event(), "no": asyncio.Event()}

    async def on_event(self, event: Event) -> None:
        self.heard[event.name].set()

    async def run(self, detached: bool) -> object:
        for name in self.heard:
            await self.kernel.subscribe(f"operator.{name}")
        await self.kernel.note("it hears")
        await self.heard["go"].wait()
        async with self.kernel.stream("kernel.spawn", "child", {"detached": detached}) as spawn:
            await self.heard["no"].wait()
            spawn.take_back("it is not wanted any more")
            try:
                await spawn.read()
                return spawn.reply.value
            except CallCancelled:
                return "taken back"
""",
)


@contextmanager
def nothing_begins(kernel: Kernel, run: str) -> Iterator[None]:
    """All stand still that make processes, or are ready to be the next one: whoever is begun does not come to the bus."""
    (own,) = (int(str(row["pid"])) for row in fates.runs(kernel) if row["run"] == run)
    others = [process for process in fates.under(kernel.pid) if process.pid != own]
    for process in others:
        process.suspend()
    try:
        yield
    finally:
        for process in others:
            process.resume()


@pytest.mark.parametrize("detached", [False, True], ids=["bound", "detached"])
def test_a_spawn_that_is_taken_back_before_its_run_is_there_takes_that_with_it(
    tmp_path: Path, *, detached: bool
) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, CHILD)
        install(kernel, PARENT)
        started = call(kernel, "kernel.start", "parent", {"inputs": {"detached": detached}})
        parent = str(fates.table(started)["run"])
        entry(kernel.home, "note", run=parent)
        with kernel.client() as client, nothing_begins(kernel, parent):
            client.publish("go", None)
            spawned = entry(kernel.home, "run.start", asker=parent)
            client.publish("no", None)
            entry(kernel.home, "end", method="kernel.spawn", verdict="cancelled")
        assert chaos.outcome_of(kernel, parent)["value"] == "taken back"
        entry(kernel.home, "run.end", run=spawned.run)
        assert [one for one in entries(kernel.home, "note") if one.run == spawned.run] == []
