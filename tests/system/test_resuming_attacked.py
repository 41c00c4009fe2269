"""Whatever else happens to a run while it has no process, or goes through its tape: it goes on, or says why it cannot."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import chaos
from tests.system.actors import actor, cast, innermost, rows, through
from tests.system.chaos import value
from tests.system.cuts import Whole
from tests.system.fates import call, entries, entry, table
from tests.system.test_resuming import DREAMER, begin, kill
from tests.system.upgraded import put_in

SLOW = Source(
    chaos.LEDGER.toml.replace("ledger", "slow").replace("Ledger", "Slow")
    + """
[provides."slow.tick"]
summary = "Publish ticks"
resource = "none"
effect = "read"
params = { first = "int", count = "int" }

[events]
publishes = ["tick"]

[limits]
calls_per_minute = 100000
""",
    """
import asyncio
import os

from runtime import Call, Hand


class Slow(Hand):
    async def start(self):
        self.file = os.open(self.state / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def tick(self, call: Call, first: int, count: int):
        for n in range(first, first + count):
            await self.publish("tick", n)

    async def read(self, call: Call):
        await asyncio.sleep(0.5)
        return {"text": "read"}

    async def add(self, call: Call, text: str):
        os.write(self.file, f"add {text}\\n".encode())
        await asyncio.sleep(0.5)
        return {"text": "added"}

    async def set(self, call: Call, text: str):
        os.write(self.file, f"set {text}\\n".encode())
        await asyncio.sleep(0.5)
        return {"text": "set"}
""",
)

LISTENER = Source(
    """
[hand]
name = "listener"
version = "1.0.0"
description = "Hears, and is set."
entry = "main:Listener"
kind = "task"
autonomy = "full"

[capabilities]
"slow.*" = ["*"]
"kernel.spawn" = ["dreamer"]

[events]
publishes = ["beat"]
subscribes = ["slow.tick"]

[settings.depth]
type = "int"
default = 0
help = "How deep"

[settings.word]
type = "string"
secret = true
help = "What nobody sees"
""",
    """
import asyncio

from runtime import CallCancelled, CallFailed, CallRefused, Hand


class Listener(Hand):
    met = ()

    async def start(self):
        self.met = []
        await self.kernel.subscribe("slow.tick")

    async def on_event(self, event):
        self.met.append(event.body)

    async def on_settings(self, changed):
        self.met.append([self.settings["depth"], self.settings["word"][::-1]])

    async def run(self, method="", seconds=1.5, wait=False, detached=False, child=0.2):
        try:
            if method:
                reply = await self.kernel.call(f"slow.{method}", "n", {} if method == "read" else {"text": "x"})
                return reply.value["text"]
            if wait:
                child = await self.kernel.spawn("dreamer", {"seconds": child}, detached=detached)
                await self.sleep(seconds)
                return (await self.kernel.wait(child)).outcome
            await self.sleep(seconds)
        except CallFailed as error:
            return error.code
        except CallRefused as error:
            return f"refused {error.code}"
        except CallCancelled as error:
            return "cancelled"
        return self.met
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        for hand in (SLOW, DREAMER, LISTENER):
            install(kernel, hand)
        yield kernel


def sleeping(kernel: Kernel, **inputs: object) -> str:
    """A run of the listener, which sleeps."""
    run = begin(kernel, "listener", **inputs)
    entry(kernel.home, "call", method="kernel.sleep", run=run)
    return run


@pytest.mark.wide
def test_a_thaw_that_follows_a_freeze_at_once_finds_every_run(kernel: Kernel) -> None:
    runs = [sleeping(kernel, seconds=3.0) for _ in range(4)]
    with kernel.client() as client:
        for _ in range(3):
            client.call("kernel.freeze")
            client.call("kernel.thaw")
    for run in runs:
        assert value(kernel, run) == []


@pytest.mark.wide
def test_what_settings_a_run_was_told_it_is_told_again_but_for_the_secret_ones(kernel: Kernel) -> None:
    run = sleeping(kernel, seconds=2.0)
    for depth in (1, 2, 3):
        call(kernel, "kernel.set", "listener", {"values": {"depth": depth, "word": f"secret word {depth}"}})
    time.sleep(0.3)
    kill(kernel, "run", "listener")
    assert value(kernel, run) == [[depth, "secret word 3"[::-1]] for depth in (1, 2, 3)]
    tape = (kernel.home / "journal" / "runs" / f"{run}.tape").read_bytes()
    assert b"depth" in tape
    assert not any(word in tape for word in (b"secret word", b"word 3"))


@pytest.mark.wide
def test_code_that_was_replaced_is_told_no_settings_of_the_new_one(kernel: Kernel) -> None:
    lasting = LISTENER.toml.replace('kind = "task"', 'kind = "task"\non_upgrade = "finish"')
    install(kernel, Source(lasting.replace("1.0.0", "1.1.0"), LISTENER.main))
    run = sleeping(kernel, seconds=3.0)
    install(kernel, Source(lasting.replace("1.0.0", "1.2.0"), LISTENER.main))
    call(kernel, "kernel.set", "listener", {"values": {"depth": 1, "word": "x"}})
    assert value(kernel, run) == []


@pytest.mark.wide
@pytest.mark.parametrize("method", ["read", "set", "add"])
def test_a_call_that_is_open_when_the_kernel_goes_down_has_its_end_or_an_unknown_outcome(
    kernel: Kernel, method: str
) -> None:
    run = begin(kernel, "listener", method=method)
    entry(kernel.home, "call", method=f"slow.{method}")
    time.sleep(0.15)
    kernel.down()
    kernel.up()
    met = value(kernel, run)
    assert met == {"read": "read", "set": "set", "add": "outcome unknown"}[method]


@pytest.mark.wide
def test_a_call_that_is_open_when_its_caller_is_upgraded_goes_on_at_its_provider(kernel: Kernel) -> None:
    run = begin(kernel, "listener", method="add")
    entry(kernel.home, "call", method="slow.add")
    install(kernel, Source(LISTENER.toml.replace("1.0.0", "1.1.0"), LISTENER.main))
    entry(kernel.home, "decision", verdict="asked", run=run)
    call(kernel, "kernel.decide", run, {"how": "finish"})
    assert value(kernel, run) == "added"


@pytest.mark.parametrize("detached", spread([False, True], 1))
def test_a_run_that_waits_for_one_that_it_spawned_hears_of_it_after_a_crash(kernel: Kernel, *, detached: bool) -> None:
    run = begin(kernel, "listener", wait=True, detached=detached, seconds=3.0)
    entry(kernel.home, "run.end")
    kernel.kill()
    kernel.up()
    assert value(kernel, run) == "done"


def tick(kernel: Kernel, first: int, count: int) -> None:
    call(kernel, "slow.tick", "", {"first": first, "count": count})


def test_an_event_that_comes_while_a_run_has_no_process_is_told_to_the_next(kernel: Kernel) -> None:
    run = sleeping(kernel, seconds=5.0)
    for n in range(0, 40, 8):
        tick(kernel, n, 4)
        kill(kernel, "run", "listener")
        tick(kernel, n + 4, 4)
    assert value(kernel, run) == [*range(40)]


@pytest.mark.wide
def test_an_event_that_comes_before_a_run_has_a_process_under_the_next_kernel_is_told_to_it(kernel: Kernel) -> None:
    run = sleeping(kernel, seconds=3.0)
    tick(kernel, 0, 3)
    call(kernel, "kernel.pause", "listener")
    kernel.kill()
    kernel.up()
    tick(kernel, 3, 4)
    call(kernel, "kernel.resume", "listener")
    assert value(kernel, run) == [*range(7)]


def test_a_run_without_a_process_from_which_an_event_is_taken_back_does_not_hear_it(kernel: Kernel) -> None:
    run = sleeping(kernel, seconds=60.0)

    def hears() -> object:
        found = table(call(kernel, "kernel.ps", "", {"only": run}))["runs"]
        assert isinstance(found, list)
        return table(found[0])["hears"]

    call(kernel, "kernel.pause", "listener")
    kill(kernel, "run", "listener")
    entry(kernel.home, "run.left", run=run)
    assert hears() == ["slow.tick"]
    call(kernel, "kernel.revoke", "listener", {"method": "kernel.subscribe"})
    assert hears() == []


@pytest.mark.wide
def test_who_was_refused_an_event_hears_it_in_no_later_process_either(kernel: Kernel) -> None:
    deaf = LISTENER.main.replace(
        'await self.kernel.subscribe("slow.tick")',
        """
        try:
            await self.kernel.subscribe("slow.tick")
        except CallRefused:
            pass
        """,
    )
    install(kernel, Source(LISTENER.toml.replace('subscribes = ["slow.tick"]', "").replace("1.0.0", "1.1.0"), deaf))
    run = sleeping(kernel, seconds=3.0)
    kill(kernel, "run", "listener")
    entry(kernel.home, "run.left", run=run)
    tick(kernel, 0, 3)
    assert value(kernel, run) == []


@pytest.mark.wide
def test_more_events_than_a_window_are_told_to_a_run_that_went_through_its_tape(kernel: Kernel) -> None:
    run = sleeping(kernel, seconds=4.0)
    tick(kernel, 0, 300)
    kill(kernel, "run", "listener")
    for first in range(300, 600, 50):
        tick(kernel, first, 50)
        time.sleep(0.02)
    met = value(kernel, run)
    assert isinstance(met, list)
    assert met == sorted(met)
    assert met[:64] == [*range(64)]
    assert len(entries(kernel.home, "run.left")) == 1


@pytest.mark.wide
def test_the_time_that_the_kernel_is_down_counts_against_no_limit(kernel: Kernel) -> None:
    toml = DREAMER.toml.replace("dreamer", "hurried") + '\n[limits]\nwall = "4s"\n'
    install(kernel, Source(toml, DREAMER.main))
    run = begin(kernel, "hurried", seconds=2.0)
    entry(kernel.home, "call", method="kernel.sleep", run=run)
    kernel.kill()
    time.sleep(4.0)
    kernel.up()
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"


@pytest.mark.wide
def test_a_provider_that_crashes_on_every_call_is_told_as_such_and_so_it_is_after_a_crash(kernel: Kernel) -> None:
    bomb = Source(
        SLOW.toml.replace("slow", "bomb").replace("Slow", "Bomb"),
        SLOW.main.replace("Slow", "Bomb").replace("await asyncio.sleep(0.5)", "os._exit(9)"),
    )
    caller = LISTENER.main.replace("slow.", "bomb.")
    install(kernel, bomb)
    install(kernel, Source(LISTENER.toml.replace("listener", "brave").replace("slow.", "bomb."), caller))
    for method, wanted in (("read", {"poison"}), ("set", {"poison"}), ("add", {"outcome unknown"})):
        run = begin(kernel, "brave", method=method)
        assert value(kernel, run) in wanted
        kernel.kill()
        kernel.up()
        assert value(kernel, run) in wanted
        done = (next((kernel.home / "state").glob("*/done")).read_text()).count(f"{method} ")
        assert done == {"read": 0, "set": 2, "add": 1}[method]


@pytest.mark.wide
def test_a_detached_run_outlives_its_spawner_after_a_restart_too(kernel: Kernel) -> None:
    spawner = begin(kernel, "listener", wait=True, detached=True, seconds=1.5, child=4.0)
    child = entry(kernel.home, "run.start", name="dreamer").run
    entry(kernel.home, "call", method="kernel.sleep", run=child)
    kernel.kill()
    kernel.up()
    call(kernel, "kernel.stop", spawner)
    assert chaos.outcome_of(kernel, child)["outcome"] == "done"


def test_what_a_hand_lends_counts_after_a_crash_for_those_that_it_spawned_and_no_others(kernel: Kernel) -> None:
    """lender calls clerk, who spawns a worker: so clerk lends to that worker, and lender does not."""
    lends = "\n[lends]\n" + rows("ledger.read")
    cast(
        kernel,
        [
            chaos.LEDGER,
            actor("worker", rows("ledger.read"), kind="task"),
            actor("clerk", rows("kernel.spawn"), more=lends),
            actor("lender", rows("clerk.do", "kernel.spawn"), kind="task", more=lends),
        ],
    )
    read = {"call": "ledger.read", "on": "book"}
    nap = {"call": "kernel.sleep", "with": {"milliseconds": 2000}}
    spawn = {"call": "kernel.spawn", "on": "worker", "with": {"inputs": {"steps": [read, nap, read]}, "detached": True}}
    asked = [begin(kernel, "lender", steps=[by]) for by in (through("clerk.do", last=spawn), spawn)]
    spawned = [innermost({"end": "done", "value": value(kernel, one)}) for one in asked]
    children = [one["value"]["run"] for one in spawned]
    for child in children:
        entry(kernel.home, "call", method="kernel.sleep", run=child)
    kernel.kill()
    kernel.up()
    told: list[Any] = [value(kernel, child) for child in children]
    assert [[step.get("code", step["end"]) for step in one["told"]] for one in told] == [
        ["capability", "done", "capability"],
        ["done", "done", "done"],
    ]


@pytest.mark.wide
def test_a_detached_run_whose_end_its_spawner_never_heard_is_not_begun_again(tmp_path: Path) -> None:
    """A slow disk: its process has ended before the call that asked for it was answered, and there the power is cut."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.slow_disk") as kernel:
        install(kernel, chaos.LEDGER)
        put_in(kernel, "1.0.0")
        install(kernel, actor("starter", rows("kernel.spawn", "ledger.add"), kind="task"))
        (kernel.home / "run" / "slow").touch()
        more = {"inputs": {"seconds": 0.0}, "detached": True, "wait": True}
        steps = [{"call": "kernel.spawn", "on": "steady", "with": more}]
        spawner = begin(kernel, "starter", steps=steps)
        assert chaos.outcome_of(kernel, spawner)["outcome"] == "done"
        kernel.kill()
        whole = Whole(kernel.home)
        (gone,) = (one.seq for one in whole.entries if one.kind == "run.end" and one.run != spawner)
        (told,) = (one.seq for one in whole.entries if one.kind == "end" and one.method == "kernel.spawn")
        assert gone < told
        home = whole.cut(tmp_path / "cut", whole.ends[gone], signed=gone)
    with Kernel(home) as kernel:
        assert chaos.outcome_of(kernel, spawner)["outcome"] == "done"
        assert chaos.done(home) == {"add 1.0.0 x before": 1, "add 1.0.0 x after": 1}
