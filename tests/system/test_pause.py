"""A paused Hand makes no call and gets none, and its processes stand still; resumed, it goes on where it was."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.living import Source, install, make_home
from tests.spread import spread
from tests.system import fates
from tests.system.actors import begin
from tests.system.fates import Shared, call, ended, pid_of, standing_still, state_of, table, until

COUNTER = Source(
    """
[hand]
name = "counter"
version = "1.0.0"
description = "Counts what it is given, in a file."
entry = "main:Counter"
kind = "service"
autonomy = "full"
idle = "1s"

[provides."counter.add"]
summary = "Add one"
resource = "none"
effect = "write"
params = { number = "int" }

[provides."counter.wait"]
summary = "Answer when the file `go` is there"
resource = "none"
effect = "read"

[provides."counter.child"]
summary = "Have a child that writes the time, again and again, from a session of its own"
resource = "none"
effect = "read"
""",
    """
import asyncio, os, time
from runtime import Call, Hand


class Counter(Hand):
    async def start(self) -> None:
        self.file = os.open(self.state / "counted", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    async def add(self, call: Call, number: int) -> object:
        os.write(self.file, f"{number}\\n".encode())
        return {}

    async def wait(self, call: Call) -> object:
        while not (self.state / "go").exists():
            await asyncio.sleep(0.01)
        return {}

    async def child(self, call: Call) -> object:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    os.pwrite(self.file, b"", 0)
                    time.sleep(0.001)
            os._exit(0)
        os.wait()
        return {}
""",
)

ADDER = Source(
    """
[hand]
name = "adder"
version = "1.0.0"
description = "Adds, one after the other, as many as it is told."
entry = "main:Adder"
kind = "task"
autonomy = "full"

[capabilities]
"counter.add" = ["*"]

[limits]
calls_per_minute = 6000000
""",
    """
import asyncio
from runtime import Hand


class Adder(Hand):
    async def run(self, count: int) -> object:
        async def every_fourth(first: int) -> None:
            for number in range(first, count, 4):
                await self.kernel.call("counter.add", number=number)

        await asyncio.gather(*(every_fourth(first) for first in range(4)))
        return count
""",
)


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with Shared(make_home(tmp_path_factory.mktemp("pause") / "home")) as kernel:
        yield kernel


@pytest.fixture
def kernel(living: Shared) -> Iterator[Shared]:
    """One for all tests, with these two alone, which have counted nothing. A test may leave it down."""
    install(living, COUNTER)
    install(living, ADDER)
    living.begin()
    yield living
    living.end()
    for left in (living.home / "state").iterdir():
        shutil.rmtree(left)


def _state(kernel: Shared, name: str) -> Path:
    (folder,) = (kernel.home / "state").iterdir()
    return folder / name


def _counted(kernel: Shared) -> list[int]:
    return [int(line) for line in _state(kernel, "counted").read_text().splitlines()]


def _calls(kernel: Shared) -> int:
    """Calls of Hands that stand in the log."""
    return len([one for one in kernel.entries("call") if one.principal != "operator"])


def _at_work(kernel: Shared, count: int) -> str:
    """An adder that has added some; its run."""
    call(kernel, "kernel.start", "counter")
    run = str(table(call(kernel, "kernel.start", "adder", {"inputs": {"count": count}}))["run"])
    until(lambda: len(_counted(kernel)) > 20, "some added")
    return run


def _still_for(seconds: float, kernel: Shared) -> None:
    """Nothing is called, and nothing counted, for a while in which hundreds of calls would be made."""
    call(kernel, "kernel.note", "", {"text": "a mark"})
    until(lambda: kernel.entries("note"), "what was on its way is on disk")
    until(lambda: fates.runs(kernel, "counter")[0]["open"] == 0, "what had reached its provider is counted")
    before = _calls(kernel), len(_counted(kernel))
    threading.Event().wait(seconds)
    assert (_calls(kernel), len(_counted(kernel))) == before


def test_a_paused_caller_makes_no_call_and_loses_none(kernel: Shared) -> None:
    _paused_again_and_again(kernel, 3, count=500)


@pytest.mark.soak
def test_a_caller_that_is_paused_a_hundred_times_makes_no_call_and_loses_none(kernel: Shared) -> None:
    _paused_again_and_again(kernel, 100, count=20_000)


def _paused_again_and_again(kernel: Shared, times: int, *, count: int) -> None:
    run = _at_work(kernel, count)
    for _ in range(times):
        assert call(kernel, "kernel.pause", "adder") == {"name": "adder", "state": "paused"}
        until(lambda: standing_still(pid_of(kernel, "adder")), "it stands still")
        _still_for(0.05, kernel)
        seen = len(_counted(kernel))
        assert call(kernel, "kernel.resume", "adder") == {"name": "adder", "state": "working"}
        until(lambda: len(_counted(kernel)) > seen, "it goes on")
    told = table(call(kernel, "kernel.wait", "", {"run": run}, seconds=120))
    assert (told["outcome"], told["value"]) == ("done", count), told
    assert sorted(_counted(kernel)) == list(range(count))
    kernel.down()
    frozen = False
    for one in kernel.entries("pause", "resume", "call"):
        frozen = one.kind == "pause" if one.kind != "call" else frozen
        assert not (frozen and one.kind == "call" and one.run == run)
    assert not kernel.entries("refusal")


def test_a_paused_provider_gets_no_call_and_answers_the_open_one_when_it_goes_on(kernel: Shared) -> None:
    call(kernel, "kernel.start", "counter")
    how: list[str] = []
    with kernel.client() as waiting_client, kernel.client() as client:
        waiting = threading.Thread(target=lambda: how.append(ended(waiting_client, "counter.wait", seconds=3)))
        waiting.start()
        until(lambda: fates.runs(kernel)[0]["open"] == 1, "the call is at its provider")
        client.call("kernel.pause", "counter")
        until(lambda: standing_still(pid_of(kernel, "counter")), "it stands still")
        assert state_of(kernel, "counter") == "paused"
        assert ended(client, "counter.add", "", {"number": 1}) == "paused"
        assert ended(client, "kernel.start", "counter") == "paused"
        _state(kernel, "go").touch()
        waiting.join(3.5)  # longer than its deadline, which stands still
        assert waiting.is_alive()
        client.call("kernel.resume", "counter")
        waiting.join(fates.PATIENCE)
        assert how == ["done"]
        assert ended(client, "counter.add", "", {"number": 2}) == "done"
    assert _counted(kernel) == [2]


def test_calls_that_wait_for_a_paused_service_wait_on_and_so_do_their_deadlines(kernel: Shared) -> None:
    """More than it takes at once: those beyond wait in the kernel."""
    call(kernel, "kernel.start", "counter")
    how: list[str] = []

    def wait() -> None:
        with kernel.client() as client:
            how.append(ended(client, "counter.wait", seconds=2.5))

    threads = [threading.Thread(target=wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    until(lambda: table(call(kernel, "kernel.status"))["open_calls"] == 20, "twenty calls")
    assert fates.runs(kernel)[0]["open"] == 16
    call(kernel, "kernel.pause", "counter")
    threads[0].join(2.7)
    assert how == []
    _state(kernel, "go").touch()
    call(kernel, "kernel.resume", "counter")
    for thread in threads:
        thread.join(fates.PATIENCE)
    assert how == ["done"] * 20


CROWD = Source(
    """
[hand]
name = "crowd"
version = "1.0.0"
description = "Fills all the places that a service has for one Hand, and asks for more."
entry = "main:Crowd"
kind = "task"
autonomy = "full"

[capabilities]
"counter.*" = ["*"]
""",
    """
import asyncio
from runtime import Hand


class Crowd(Hand):
    async def run(self) -> object:
        filling = [asyncio.ensure_future(self.kernel.call("counter.wait")) for _ in range(8)]
        await asyncio.sleep(0)
        await self.kernel.call("counter.add", number=1)
        await asyncio.gather(*filling)
""",
)


def test_a_call_that_waited_in_the_kernel_when_its_caller_was_paused_waits_on(kernel: Shared) -> None:
    install(kernel, CROWD)
    run = str(table(call(kernel, "kernel.start", "crowd"))["run"])
    until(lambda: [one for one in kernel.entries("call") if one.method == "counter.add"], "it waits for a place")
    call(kernel, "kernel.pause", "crowd")
    _state(kernel, "go").touch()
    until(lambda: fates.runs(kernel, "counter")[0]["open"] == 0, "all places are free")
    assert call(kernel, "counter.add", "", {"number": 2}) == {}
    assert _counted(kernel) == [2]
    call(kernel, "kernel.resume", "crowd")
    assert table(call(kernel, "kernel.wait", "", {"run": run}))["outcome"] == "done"
    assert _counted(kernel) == [2, 1]


def test_children_of_a_paused_hand_stand_still_too(kernel: Shared) -> None:
    call(kernel, "kernel.start", "counter")
    call(kernel, "counter.child")
    (child,) = psutil.Process(pid_of(kernel, "counter")).children(recursive=True)
    call(kernel, "kernel.pause", "counter")
    until(lambda: standing_still(child.pid), "the child stands still", 1)
    call(kernel, "kernel.resume", "counter")
    until(lambda: not standing_still(child.pid), "it goes on", 1)
    call(kernel, "kernel.pause", "counter")
    assert call(kernel, "kernel.stop", "counter") == {"stopped": 1}  # what stands still can be stopped
    assert not fates.living([child])


def test_a_pause_survives_restarts_of_the_kernel_and_resume_brings_back_what_was_wanted(kernel: Shared) -> None:
    call(kernel, "kernel.start", "counter")
    call(kernel, "kernel.pause", "counter")
    for end in (kernel.kill, kernel.down):
        end()
        kernel.up()
        assert state_of(kernel, "counter") == "paused"
        assert fates.runs(kernel) == []
        with kernel.client() as client:
            assert ended(client, "counter.add", "", {"number": 1}) == "paused"
    call(kernel, "kernel.resume", "counter")
    until(lambda: state_of(kernel, "counter") == "ready", "it is up again")
    assert call(kernel, "counter.add", "", {"number": 2}) == {}
    assert _counted(kernel) == [2]


@pytest.mark.wide
def test_a_service_that_was_paused_stops_when_idle_afterwards(kernel: Shared) -> None:
    call(kernel, "counter.add", "", {"number": 1})  # up by itself, not wanted
    call(kernel, "kernel.pause", "counter")
    threading.Event().wait(1.2)  # longer than its idle time: it stands still, and is not stopped
    until(lambda: standing_still(pid_of(kernel, "counter")), "it stands still")
    call(kernel, "kernel.resume", "counter")
    kernel.entry("run.end", why="idle")


def test_a_paused_hand_that_is_killed_comes_back_only_when_resumed(kernel: Shared) -> None:
    call(kernel, "kernel.start", "counter")
    call(kernel, "kernel.pause", "counter")
    os.kill(pid_of(kernel, "counter"), signal.SIGKILL)
    kernel.entry("run.end", why="killed by SIGKILL")
    kernel.entry("refusal", code="paused")
    assert fates.runs(kernel) == []
    call(kernel, "kernel.resume", "counter")
    until(lambda: state_of(kernel, "counter") == "ready", "it is up again")


RESTLESS = Source(
    f"{COUNTER.toml.partition('[provides')[0]}[provides{COUNTER.toml.rpartition('[provides')[2]}".replace(
        "counter", "restless"
    ).replace("Counter", "Restless")
    + "\n[confinement]\nprograms = true\n",
    """
import ctypes, os, signal, struct, time
from runtime import Call, Hand


class Restless(Hand):
    async def child(self, call: Call) -> object:
        if os.fork() == 0:
            libc, timer = ctypes.CDLL(None), ctypes.c_void_p()
            signal.signal(signal.SIGCONT, lambda *_: None)
            libc.timer_create(time.CLOCK_MONOTONIC, struct.pack("Pii48x", 0, signal.SIGCONT, 0), ctypes.byref(timer))
            libc.timer_settime(timer, 0, struct.pack("4l", 0, 50_000_000, 0, 50_000_000), None)
            while True:
                until = time.process_time() + 0.005
                while time.process_time() < until:
                    pass
                os.kill(os.getpid(), signal.SIGSTOP)
        return {}
""",
)


@pytest.mark.wide
def test_a_paused_hand_that_goes_on_in_moments_when_nobody_looks_is_ended(kernel: Shared) -> None:
    """A timer of its own can continue a stopped process, and that can stop itself again before the next check."""
    install(kernel, RESTLESS)
    call(kernel, "restless.child")
    call(kernel, "kernel.pause", "restless")
    until(lambda: not fates.runs(kernel, "restless"), "it is ended", 10)
    assert "its processes did not stand still" in kernel.entry("run.end").why


SLEEPER = Source(
    COUNTER.toml.replace("counter", "sleeper").replace("Counter", "Sleeper") + '\n[limits]\nwall = "1s"\n',
    """
import asyncio

from runtime import Hand


class Sleeper(Hand):
    async def start(self) -> None:
        await asyncio.sleep(3600)

    async def on_call(self, call, arguments) -> None:
        return None
""",
)


@pytest.mark.parametrize("is_paused", spread([False, True], 1))
def test_a_start_that_does_not_end_is_ended_also_when_its_time_ran_out_in_a_pause(
    kernel: Shared, is_paused: bool
) -> None:
    install(kernel, SLEEPER)
    with kernel.client() as client:
        begin(client, "sleeper.wait", [])
        until(lambda: fates.runs(kernel, "sleeper"), "it starts")
        if is_paused:
            call(kernel, "kernel.pause", "sleeper")
            time.sleep(1.2)
            assert not kernel.entries("run.end")
            call(kernel, "kernel.resume", "sleeper")
        assert kernel.entry("run.end", verdict="died").why == "start() or `ready` took more than 1 s"
