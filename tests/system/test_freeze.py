"""The emergency stop: under full load within 50 ms, through every kind of restart, until it is undone."""

import os
import select
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.living import ECHO, Kernel, Source, install, make_home
from tests.system import fates
from tests.system.chaos import outcome_of
from tests.system.fates import call, ended, entries, entry, moment, state_of, table, until
from tests.system.test_resuming import DREAMER, begin

CALLER = Source(
    """
[hand]
name = "caller"
version = "1.0.0"
description = "Calls as fast as it can."
entry = "main:Caller"
kind = "task"
autonomy = "full"

[capabilities]
"echo.say" = ["*"]
"ledger.write" = ["*"]

[limits]
calls_per_minute = 6000000
""",
    """
import asyncio
from runtime import Hand


class Caller(Hand):
    async def run(self, method: str) -> object:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(self.call_for_ever(method))

    async def call_for_ever(self, method: str) -> None:
        while True:
            await self.kernel.call(method, text="x" * 100)
""",
)

SLOW = Source(
    ECHO.toml.replace("echo", "slow").replace("slow.say", "slow.look").replace("Echo", "Slow")
    .replace('params = { text = "string" }\n', "").replace('returns = { text = "string" }\n', ""),
    """
import asyncio
from runtime import Hand


class Slow(Hand):
    async def look(self, call):
        await asyncio.sleep(1.0)
        return "seen"
""",
)  # fmt: skip

LOOKER = Source(
    CALLER.toml.replace('"caller"', '"looker"').replace("main:Caller", "main:Looker").replace("echo.say", "slow.look"),
    """
from runtime import Hand


class Looker(Hand):
    async def run(self) -> object:
        return (await self.kernel.call("slow.look")).value
""",
)

LEDGER = Source(
    """
[hand]
name = "ledger"
version = "1.0.0"
description = "Has an effect: a line in a file."
entry = "main:Ledger"
kind = "service"
autonomy = "full"

[provides."ledger.write"]
summary = "Write the number of the call"
resource = "none"
effect = "write"
params = { text = "string" }
""",
    """
import os, time
from runtime import Call, Hand


class Ledger(Hand):
    async def start(self) -> None:
        self.file = os.open(self.state / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    async def write(self, call: Call, text: str) -> object:
        os.write(self.file, f"{call.number} {time.time_ns()}\\n".encode())
        return {"number": call.number}
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        for hand in (ECHO, LEDGER, CALLER):
            install(kernel, hand)
        yield kernel


ROUNDS = 3
"""Of load and freeze; the middle one counts."""


def _effects(kernel: Kernel) -> list[float]:
    """When each effect happened, in seconds since 1970."""
    (file,) = (kernel.home / "state").glob("*/effects")
    return [int(line.split()[1]) / 1e9 for line in file.read_text().splitlines()]


def _load(kernel: Kernel) -> list[int]:
    """Four Hands that call two services as fast as they can; pidfds of all six."""
    for method in ("echo.say", "ledger.write") * 2:
        call(kernel, "kernel.start", "caller", {"inputs": {"method": method}})
    return until(lambda: _all_at_work(kernel), "six Hands at work")


def _all_at_work(kernel: Kernel) -> list[int]:
    rows = fates.runs(kernel)
    busy = len(rows) == 6 and all(
        row["pid"] and (row["hand"] != "caller" or int(str(row["calls"])) > 100) for row in rows
    )
    return [os.pidfd_open(int(str(row["pid"]))) for row in rows] if busy else []


def _all_gone(processes: list[int]) -> None:
    for pidfd in processes:
        assert select.select([pidfd], [], [], fates.PATIENCE)[0]
        os.close(pidfd)


@pytest.mark.alone
def test_freeze_ends_every_run_and_refuses_every_call_within_50_ms_under_full_load(kernel: Kernel) -> None:
    took, late = [], []
    for _ in range(ROUNDS):
        processes = _load(kernel)
        with kernel.client() as client:
            began, at = time.monotonic(), time.time()
            told = table(client.call("kernel.freeze").value)
            _all_gone(processes)
            took.append(time.monotonic() - began)
            assert told["ended"] == 6
            assert ended(client, "echo.say", "", {"text": "x"}) == "frozen"
            assert ended(client, "kernel.start", "caller") == "frozen"
            until(lambda: not fates.alive(kernel), "all were reaped")
            late.append(_effects(kernel)[-1] - at)
            client.call("kernel.stop", "caller")  # they would go on after the thaw
            client.call("kernel.thaw")
    assert statistics.median(took) < 0.05, took
    assert statistics.median(late) < 0.05, late
    kernel.down()
    _nothing_after_freeze(kernel)


def _nothing_after_freeze(kernel: Kernel) -> None:
    """In the log's order: between freeze and thaw no call is allowed but the operator's of the kernel."""
    frozen, is_frozen = 0, False
    for one in entries(kernel.home):
        if one.kind in ("freeze", "thaw"):
            frozen += one.kind == "freeze"
            is_frozen = one.kind == "freeze"
        elif is_frozen:
            assert one.kind not in ("run.start", "hand.ready", "run.confined")
            assert one.kind != "call" or (one.principal, one.method[:7]) == ("operator", "kernel."), one
    assert frozen == ROUNDS


def test_freeze_survives_down_up_and_kill_and_thaw_undoes_it(kernel: Kernel) -> None:
    call(kernel, "kernel.start", "echo")
    assert table(call(kernel, "kernel.freeze"))["frozen"] is True
    kernel.kill()  # at once: what was answered is on disk
    for again in (kernel.down, kernel.kill):  # ended at once, and then in order
        kernel.up()
        assert table(call(kernel, "kernel.status"))["frozen"] is True
        assert fates.alive(kernel) == []
        with kernel.client() as client:
            for method, resource in (("echo.say", ""), ("kernel.start", "caller"), ("kernel.start", "echo")):
                assert ended(client, method, resource, {"text": "x"} if method == "echo.say" else None) == "frozen"
            for method in ("kernel.hands", "kernel.home", "kernel.ps"):
                assert ended(client, method) == "done"
        again()
    kernel.up()
    last = len(entries(kernel.home))
    assert len(entries(kernel.home, "run.start")) == 1
    call(kernel, "kernel.thaw")
    until(lambda: state_of(kernel, "echo") == "ready", "what was wanted is up")
    assert call(kernel, "echo.say", "", {"text": "x"}) == {"text": "x"}
    assert entry(kernel.home, "thaw").seq >= last


def test_a_frozen_run_does_not_hear_that_who_answered_it_was_ended(kernel: Kernel) -> None:
    """That was up before the run, and so is ended first."""
    install(kernel, SLOW)
    install(kernel, LOOKER)
    call(kernel, "kernel.start", "slow")
    run = begin(kernel, "looker")
    made = entry(kernel.home, "call", method="slow.look", run=run)
    until(lambda: state_of(kernel, "looker") == "working", "it waits")
    call(kernel, "kernel.freeze")
    until(lambda: not [row for row in fates.runs(kernel) if row["pid"]], "all are gone")
    assert not [one for one in entries(kernel.home, "end") if one.call == made.call]
    call(kernel, "kernel.thaw")
    assert outcome_of(kernel, run)["value"] == "seen"


@pytest.mark.wide
def test_a_frozen_hand_that_was_backing_off_or_starting_does_not_come_back(kernel: Kernel) -> None:
    call(kernel, "kernel.start", "echo")
    at = fates.pid_of(kernel, "echo")
    with kernel.client() as client:
        os.kill(at, signal.SIGKILL)
        entry(kernel.home, "hand.state", verdict="backing_off")
        client.call("kernel.start", "caller", {"inputs": {"method": "echo.say"}})  # its process is not there yet
        frozen = table(client.call("kernel.freeze").value)
    again = [one for one in entries(kernel.home, "run.start") if one.detail["name"] == "echo"][1:]
    assert frozen["ended"] == 1 + len(again)  # none, but where a tenth of a second was not enough for the line before
    until(lambda: not fates.alive(kernel), "its process is gone")
    kernel.down()
    after = entry(kernel.home, "freeze").seq
    assert not [one for one in entries(kernel.home, "run.start", "hand.ready") if one.seq > after]


@pytest.mark.wide
def test_freezing_twice_and_thawing_twice_is_as_once(kernel: Kernel) -> None:
    for method in ("kernel.freeze", "kernel.freeze", "kernel.thaw", "kernel.thaw"):
        call(kernel, method)
    kernel.down()
    assert [one.kind for one in entries(kernel.home, "freeze", "thaw")] == ["freeze", "thaw"]
    assert moment(entry(kernel.home, "freeze")) <= moment(entry(kernel.home, "thaw"))


@pytest.mark.wide
def test_a_run_that_is_frozen_in_its_sleep_or_on_its_way_there_goes_on_when_it_is_thawed(tmp_path: Path) -> None:
    """On its way, its process is dead, and its template has not told so yet."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel:
        install(kernel, DREAMER)
        run = begin(kernel, "dreamer", seconds=3.0)
        pid, template = fates.pid_of(kernel, "dreamer"), kernel.template_pid
        entry(kernel.home, "call", method="kernel.sleep", run=run)
        os.kill(template, signal.SIGSTOP)
        until(lambda: not fates.living([psutil.Process(pid)]), "it rests")
        call(kernel, "kernel.freeze")
        os.kill(template, signal.SIGCONT)
        entry(kernel.home, "run.left", run=run)
        call(kernel, "kernel.thaw")
        left = len(entries(kernel.home, "run.left"))
        until(lambda: len(entries(kernel.home, "run.left")) > left, "it sleeps")
        call(kernel, "kernel.freeze")
        call(kernel, "kernel.thaw")
        assert outcome_of(kernel, run)["outcome"] == "done"
