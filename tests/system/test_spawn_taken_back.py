"""A spawn that is taken back while its run's process is still being made: the run never comes to do anything."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil
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
subscribes = ["operator.go", "operator.no", "operator.end"]
""",
    """
import asyncio

from runtime import CallCancelled, Event, Hand


class Parent(Hand):
    async def start(self) -> None:
        self.heard = {"go": asyncio.Event(), "no": asyncio.Event(), "end": asyncio.Event()}

    async def on_event(self, event: Event) -> None:
        self.heard[event.name].set()

    async def run(self, detached: bool, wait: bool) -> object:
        for name in self.heard:
            await self.kernel.subscribe(f"operator.{name}")
        await self.kernel.note("it hears")
        await self.heard["go"].wait()
        async with self.kernel.stream("kernel.spawn", "child", {"detached": detached, "wait": wait}) as spawn:
            await self.heard["no"].wait()
            spawn.cancel("it is not wanted any more")
            try:
                await spawn.read()
                return spawn.reply.value
            except CallCancelled:
                await self.heard["end"].wait()  # what is bound to it would end with it
                return "taken back"
""",
)

UPSTART: Final = Source(
    PARENT.toml.split("[events]")[0]
    .replace("parent", "upstart")
    .replace("Parent", "Upstart")
    .replace("task", "service"),
    """
from runtime import CallRefused, Hand


class Upstart(Hand):
    async def stop(self) -> None:
        try:
            await self.kernel.spawn("child", detached=True)
        except CallRefused as refused:
            self.log.info("it was told " + refused.code)
""",
)


@contextmanager
def nothing_begins(kernel: Kernel, run: str) -> Iterator[None]:
    """All stand still that make processes, or are ready to be the next one: whoever is begun does not come to the bus."""
    (own,) = (int(str(row["pid"])) for row in fates.runs(kernel) if row["run"] == run)
    others = list[psutil.Process]()
    while more := [one for one in fates.under(kernel.pid) if one.pid != own and one not in others]:
        for process in more:  # one of these may just have made another
            with suppress(psutil.NoSuchProcess):  # as of what measures folders for a moment
                process.suspend()
        others += more
    try:
        yield
    finally:
        for process in others:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.mark.parametrize(("detached", "wait"), [(False, False), (True, False), (False, True)])
def test_a_spawn_that_is_taken_back_before_its_run_is_there_takes_that_with_it(
    tmp_path: Path, *, detached: bool, wait: bool
) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, CHILD)
        install(kernel, PARENT)
        started = call(kernel, "kernel.start", "parent", {"inputs": {"detached": detached, "wait": wait}})
        parent = str(fates.table(started)["run"])
        entry(kernel.home, "note", run=parent)
        with kernel.client() as client:
            with nothing_begins(kernel, parent):
                client.publish("go", None)
                spawned = entry(kernel.home, "run.start", asker=parent)
                client.publish("no", None)
                entry(kernel.home, "end", method="kernel.spawn", verdict="cancelled")
            entry(kernel.home, "run.end", run=spawned.run)
            client.publish("end", None)
        assert chaos.outcome_of(kernel, parent)["value"] == "taken back"
        assert [one for one in entries(kernel.home, "note") if one.run == spawned.run] == []


def test_a_run_that_was_told_to_end_spawns_nothing_that_outlives_it(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, CHILD)
        install(kernel, UPSTART)
        call(kernel, "kernel.start", "upstart")
        call(kernel, "kernel.stop", "upstart")
        assert "it was told ended" in (kernel.home / "output" / "upstart.log").read_text()
        assert [one.detail["name"] for one in entries(kernel.home, "run.start")] == ["upstart"]
