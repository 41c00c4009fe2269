"""Runs that cannot be lost: whatever is killed, and when, what comes of a run is what would have come of it anyway.

A killer from outside ends real processes: the run, the service it calls, the template, the kernel. Each effect is carried
out exactly once, or its run was told that nobody knows; the log verifies. `./just soak` does the same a thousand times.
"""

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.living import ECHO, Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import chaos, fates
from tests.system.fates import entries, entry, until

VICTIMS = ("run", "provider", "template", "kernel", "all")


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        chaos.prepare(kernel)
        yield kernel


def begin(kernel: Kernel, hand: str = "journey", **inputs: object) -> str:
    """Start a run, and give its id."""
    with kernel.client() as client:
        told = client.call("kernel.start", hand, {"inputs": inputs}).value
    assert isinstance(told, dict)
    return str(told["run"])


def kill(kernel: Kernel, victim: str, run: str = "journey", provider: str = "ledger") -> None:
    """End the processes of one kind, or all; those that are there."""
    if victim in ("kernel", "all"):
        kernel.kill()
        kernel.up()
        return
    pids = [int(str(row["pid"])) for row in fates.runs(kernel, {"run": run, "provider": provider}.get(victim, ""))]
    for pid in fates.children(kernel.pid) if victim == "template" else pids:
        if pid:
            with suppress(ProcessLookupError):  # it had ended
                os.kill(pid, signal.SIGKILL)


def calls_made(kernel: Kernel) -> int:
    """How many calls the journey has on disk."""
    return sum(one.method.startswith("ledger.") for one in entries(kernel.home, "call"))


@pytest.mark.parametrize("victim", spread(VICTIMS, 1))
def test_a_killer_at_any_moment_changes_nothing_about_what_comes_of_a_run(kernel: Kernel, victim: str) -> None:
    chance = random.Random(f"seed {victim}")
    for wide in (1, 4):
        before = chaos.done(kernel.home)
        run = begin(kernel, wide=wide, rest=0.004)
        for _ in range(3):
            time.sleep(chance.uniform(0.0, 0.2))
            kill(kernel, victim)
        chaos.is_right(chaos.outcome_of(kernel, run), chaos.done(kernel.home) - before)
    kernel.down()
    assert fates.verified(kernel.home).size == len(entries(kernel.home))


def test_a_run_that_is_killed_after_each_of_its_calls_makes_each_of_them_once(kernel: Kernel) -> None:
    run, seen = begin(kernel, calls=15, rest=0.03), 0
    while seen < 15:
        until(lambda before=seen: calls_made(kernel) > before, "a further call", closely=True)  # type: ignore[misc]
        seen = calls_made(kernel)
        kill(kernel, "run")
    outcome = chaos.outcome_of(kernel, run)
    chaos.is_right(outcome, chaos.done(kernel.home), 15)
    assert outcome["value"]["unknown"] == []  # type: ignore[index]  # its provider lived: everything is known
    assert calls_made(kernel) == 15
    assert len(entries(kernel.home, "run.left")) >= 6


def test_what_was_drawn_and_what_time_it_was_are_the_same_after_a_kill(kernel: Kernel) -> None:
    install(kernel, DREAMER)
    run = begin(kernel, "dreamer", seconds=3.0)
    before = entry(kernel.home, "note", run=run).why
    assert len(set(re.findall(r"UUID\('[^']+'\)", before))) == 2  # what a library draws, and what the Hand does
    os.kill(fates.pid_of(kernel, "dreamer"), signal.SIGKILL)
    outcome = chaos.outcome_of(kernel, run)
    assert outcome["value"] == before
    assert len(entries(kernel.home, "run.left")) == 1


@pytest.mark.wide
def test_a_run_with_files_in_its_folder_outlives_the_template(kernel: Kernel) -> None:
    install(kernel, PACKER)
    run = begin(kernel, "packer")
    entry(kernel.home, "note", run=run)
    for _ in range(2):
        until(lambda: (kernel.home / "scratch" / run / "packed").exists(), "it is packed")
        kill(kernel, "template")
    outcome = chaos.outcome_of(kernel, run)
    assert (outcome["outcome"], outcome["value"]) == ("done", ["packed"])


PACKER = Source(
    """
[hand]
name = "packer"
version = "1.0.0"
description = "Keeps something in its scratch folder."
entry = "main:Packer"
kind = "task"
autonomy = "full"
""",
    """
from runtime import Hand


class Packer(Hand):
    async def run(self):
        (self.scratch / "packed").write_text("all of it")
        await self.kernel.note("it is packed")
        await self.sleep(3.0)
        return [path.name for path in self.scratch.iterdir()]
""",
)

DREAMER = Source(
    """
[hand]
name = "dreamer"
version = "1.0.0"
description = "Draws, and looks at the clock."
entry = "main:Dreamer"
kind = "task"
autonomy = "full"
""",
    """
import random
import time
import uuid

from runtime import Hand


class Dreamer(Hand):
    async def run(self, seconds=0.6):
        seen = [time.time(), time.monotonic(), random.random(), self.random.random(), uuid.uuid4(), self.uuid(), self.now()]
        await self.kernel.note(str(seen))
        await self.sleep(seconds)
        return str(seen)
""",
)


def test_a_sleep_goes_on_where_it_was_when_the_kernel_comes_back(kernel: Kernel) -> None:
    install(kernel, DREAMER)
    run = begin(kernel, "dreamer", seconds=4.0)
    began = entry(kernel.home, "call", method="kernel.sleep", run=run)
    kernel.kill()
    time.sleep(3.5)
    kernel.up()
    outcome = chaos.outcome_of(kernel, run)
    assert outcome["outcome"] == "done"
    slept = entry(kernel.home, "end", call=began.call)
    assert slept.verdict == "done"
    took = fates.moment(slept) - fates.moment(entries(kernel.home, "run.start")[-1])  # its second process
    assert took < 3.8, "it slept all over again"


def test_down_and_up_leave_a_run_unfinished_and_take_it_up_again(kernel: Kernel) -> None:
    run = begin(kernel, rest=0.02)
    until(lambda: calls_made(kernel) > 5, "some calls")
    kernel.down()
    assert entries(kernel.home, "run.left")[-1].why == "the kernel goes down"
    kernel.up()
    outcome = chaos.outcome_of(kernel, run)
    chaos.is_right(outcome, chaos.done(kernel.home))


def test_a_frozen_run_goes_on_at_thaw(kernel: Kernel) -> None:
    run = begin(kernel, rest=0.02)
    until(lambda: calls_made(kernel) > 5, "some calls")
    with kernel.client() as client:
        client.call("kernel.freeze")
        until(lambda: not [row for row in fates.runs(kernel, "journey") if row["pid"]], "no process")
        frozen_at = calls_made(kernel)
        time.sleep(0.2)
        assert calls_made(kernel) == frozen_at < 60
        client.call("kernel.thaw")
    chaos.is_right(chaos.outcome_of(kernel, run), chaos.done(kernel.home))


WAITER = Source(
    DREAMER.toml.replace("dreamer", "waiter").replace("Dreamer", "Waiter")
    + '\n[capabilities]\n"kernel.spawn" = ["dreamer"]\n',
    """
import asyncio
import time

from runtime import Hand


class Waiter(Hand):
    async def run(self):
        began = time.time()
        child = self.kernel.spawn_and_wait("dreamer", {"seconds": 2.0})
        await asyncio.gather(child, asyncio.sleep(3.0))
        return time.time() - began
""",
)


def test_runs_that_only_wait_have_no_process_until_they_go_on(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel:
        install(kernel, DREAMER)
        install(kernel, WAITER)
        run = begin(kernel, "waiter")
        entry(kernel.home, "run.left", why="it only waits", run=run)
        until(lambda: len(entries(kernel.home, "run.left")) == 2, "both sleep")
        until(lambda: not [row for row in fates.runs(kernel) if row["pid"]], "no process")
        outcome = chaos.outcome_of(kernel, run)
        assert outcome["outcome"] == "done"
        assert 3.0 <= float(str(outcome["value"])) < 10.0
        assert [one.run for one in entries(kernel.home, "run.start")].count(run) >= 2
        kernel.down()
        assert fates.verified(kernel.home).size == len(entries(kernel.home))


def test_a_run_that_waits_for_as_many_as_it_may_spawn_hears_of_them_from_the_next_kernel(kernel: Kernel) -> None:
    """What it asks for again counts once."""
    install(kernel, DREAMER)
    install(kernel, Source(WAITER.toml + "\n[limits]\nin_flight = 1\n", WAITER.main))
    run = begin(kernel, "waiter")
    until(lambda: len(entries(kernel.home, "run.confined")) == 2, "both work")
    kernel.kill()
    kernel.up()
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"


@pytest.mark.wide
def test_one_that_sleeps_can_be_stopped_and_survives_a_kill_of_the_kernel(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel:
        install(kernel, DREAMER)
        first, second = begin(kernel, "dreamer", seconds=3600.0), begin(kernel, "dreamer", seconds=4.0)
        until(lambda: len(entries(kernel.home, "run.left")) == 2, "both sleep")
        shown = {str(row["run"]): (row["state"], row["pid"]) for row in fates.runs(kernel)}
        assert shown[first] == ("asleep", 0)
        kernel.kill()
        kernel.up()
        until(lambda: len(entries(kernel.home, "run.left")) == 4, "both sleep again")
        fates.call(kernel, "kernel.stop", first)
        assert chaos.outcome_of(kernel, first)["outcome"] == "cancelled"
        (end,) = entries(kernel.home, "run.end")
        assert (end.run, end.verdict, end.why) == (first, "ended", "stopped by its operator")
        assert chaos.outcome_of(kernel, second)["outcome"] == "done"
        install(kernel, ECHO._replace(toml=ECHO.toml.replace('kind = "service"', 'kind = "service"\nidle = "100ms"')))
        needy = DREAMER.toml.replace('kind = "task"', 'kind = "task"\nneeds = ["echo"]')
        install(kernel, DREAMER._replace(toml=needy))
        third = begin(kernel, "dreamer", seconds=3600.0)
        entry(kernel.home, "run.left", run=third)
        until(lambda: not fates.runs(kernel, "echo"), "what only one that sleeps needs is stopped when idle", 5)
        fates.call(kernel, "kernel.stop", "dreamer")
        assert chaos.outcome_of(kernel, third)["outcome"] == "cancelled"


@pytest.mark.soak
def test_a_thousand_kills_change_nothing(kernel: Kernel) -> None:
    chance, kills = random.Random(4), 0
    while kills < 1_000:
        before = chaos.done(kernel.home)
        run = begin(kernel, wide=chance.choice((1, 2, 5)), rest=0.004)
        for _ in range(chance.randrange(1, 9)):
            time.sleep(chance.expovariate(12))
            victim = chance.choice(VICTIMS)
            kill(kernel, victim)
            kills += 1
        outcome = chaos.outcome_of(kernel, run)
        print(kills, outcome["outcome"], len(outcome["value"]["unknown"]))  # type: ignore[index]
        chaos.is_right(outcome, chaos.done(kernel.home) - before)
    kernel.down()
    assert fates.verified(kernel.home).size == len(entries(kernel.home))
