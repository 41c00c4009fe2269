"""Death and after, of a Hand, its template, its kernel: noticed at once, taken up in order, nothing left alive."""

import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.living import Source, install, make_home
from tests.system import fates
from tests.system.fates import Shared, call, ended, moment, pid_of, state_of, table, until

SUBJECT = Source(
    """
[hand]
name = "subject"
version = "1.0.0"
description = "Does what is done to it."
entry = "main:Subject"
kind = "service"
autonomy = "full"

[restart]
when = "failure"
times = 2
within = "1h"

[provides."subject.say"]
summary = "Tell its process"
resource = "none"
effect = "read"

[provides."subject.daemonise"]
summary = "Leave a daemon behind: forked twice, in a session of its own, deaf to TERM"
resource = "none"
effect = "read"

[provides."subject.hang"]
summary = "Never answer"
resource = "none"
effect = "read"

[provides."subject.deaf"]
summary = "Hear neither Stop nor TERM any more"
resource = "none"
effect = "read"
""",
    """
import asyncio, os, signal, time
from runtime import Call, Hand


class Subject(Hand):
    async def say(self, call: Call) -> dict[str, object]:
        return {"pid": os.getpid()}

    async def daemonise(self, call: Call) -> dict[str, object]:
        hear, tell = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                os.write(tell, b"x")
                while True:
                    time.sleep(3600)
            os._exit(0)
        os.wait()
        os.read(hear, 1)
        return {}

    async def hang(self, call: Call) -> dict[str, object]:
        await asyncio.sleep(3600)

    async def deaf(self, call: Call) -> dict[str, object]:
        asyncio.get_running_loop().call_later(0.05, self._deaf)
        return {}

    def _deaf(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        while True:
            time.sleep(3600)
""",
)

TASK = Source(
    """
[hand]
name = "errand"
version = "1.0.0"
description = "Runs until it is told to end."
entry = "main:Errand"
kind = "task"
autonomy = "full"
""",
    """
import asyncio
from runtime import Hand


class Errand(Hand):
    async def run(self, seconds: float = 3600) -> object:
        await asyncio.sleep(seconds)
        return "rested"
""",
)


def needing(name: str, needs: str) -> Source:
    """A service that does nothing but need another."""
    toml = f"""
[hand]
name = "{name}"
version = "1.0.0"
description = "Leans on others."
entry = "main:Leaning"
kind = "service"
autonomy = "full"
idle = "100ms"
needs = [{needs}]

[provides."{name}.say"]
summary = "Answer"
resource = "none"
effect = "read"
"""
    main = """
from runtime import Call, Hand


class Leaning(Hand):
    async def say(self, call: Call) -> dict[str, object]:
        return {}
"""
    return Source(toml, main)


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with Shared(make_home(tmp_path_factory.mktemp("supervision") / "home")) as kernel:
        yield kernel


@pytest.fixture
def kernel(living: Shared) -> Iterator[Shared]:
    """One for all tests, with `subject` alone. A test may leave it down."""
    install(living, SUBJECT)
    living.begin()
    yield living
    living.end()


@pytest.mark.alone
def test_a_killed_hand_is_noticed_within_50_ms_and_started_again_after_a_while(kernel: Shared) -> None:
    late = []
    for _ in range(3):
        call(kernel, "kernel.start", "subject")
        before = len(fates.entries(kernel.home))
        killed = time.time()
        os.kill(pid_of(kernel, "subject"), signal.SIGKILL)
        died = kernel.entry("run.end", verdict="died", why="killed by SIGKILL", seq=_next(kernel, before, "run.end"))
        late.append(moment(died) - killed)
        if len(late) < 3:
            back = kernel.entry("hand.state", verdict="backing_off", seq=died.seq + 1)
            assert "killed by SIGKILL; starts again in" in back.why
            again = until(lambda: [e for e in kernel.entries("run.start") if e.seq > back.seq], "a restart")[0]
            assert moment(again) - moment(back) >= 0.1 * len(late)  # backoff: a tenth of a second, then two
            until(lambda: state_of(kernel, "subject") == "ready", "ready again")
    assert statistics.median(late) < 0.05
    assert state_of(kernel, "subject") == "quarantined"


def _next(kernel: Shared, after: int, kind: str) -> int:
    """The seq of the first entry of a kind from a place on."""
    return until(lambda: [one.seq for one in kernel.entries(kind) if one.seq >= after], f"another {kind}")[0]


def test_a_hand_that_keeps_dying_is_quarantined_with_the_reason_until_it_is_started(kernel: Shared) -> None:
    call(kernel, "kernel.start", "subject")
    for times in range(3):
        until(lambda: state_of(kernel, "subject") == "ready", "ready")
        os.kill(pid_of(kernel, "subject"), signal.SIGKILL)
        until(lambda: len(kernel.entries("run.end")) > times, "its death in the log")
    why = "it died more than 2 times within 3600 s, last: killed by SIGKILL"
    assert kernel.entry("hand.state", verdict="quarantined").why == why
    assert state_of(kernel, "subject") == "quarantined"
    assert table(call(kernel, "kernel.status"))["quarantined"] == {"subject": why}
    with kernel.client() as client:
        assert ended(client, "subject.say") == "quarantined"
    kernel.kill()
    kernel.up()
    with kernel.client() as client:
        assert ended(client, "subject.say") == "quarantined"
        client.call("kernel.start", "subject")
        assert ended(client, "subject.say") == "done"
    assert state_of(kernel, "subject") == "ready"
    assert table(call(kernel, "kernel.status"))["quarantined"] == {}


def test_everything_under_a_killed_kernel_is_gone_within_a_second_and_the_next_one_recovers(kernel: Shared) -> None:
    install(kernel, TASK)
    call(kernel, "kernel.start", "subject")
    call(kernel, "subject.daemonise")
    run = str(table(call(kernel, "kernel.start", "errand"))["run"])
    until(lambda: [row for row in fates.runs(kernel, "errand") if row["pid"]], "the errand's process")
    below = fates.under(kernel.pid)
    assert len(below) >= 4  # template, subject, its daemon, errand
    kernel.kill()
    until(lambda: not fates.living(below), "all gone", 1.0)
    kernel.up()
    until(lambda: state_of(kernel, "subject") == "ready", "what was wanted is up again")
    until(lambda: [row for row in fates.runs(kernel, "errand") if row["pid"]], "the errand goes on")
    until(lambda: [one.run for one in kernel.entries("run.start")].count(run) == 2, "and that is in the log")
    call(kernel, "kernel.stop", "errand")
    kernel.down()
    assert fates.verified(kernel.home).size == len(fates.entries(kernel.home))


def test_a_killed_template_takes_every_run_with_it_and_what_was_wanted_comes_back(kernel: Shared) -> None:
    install(kernel, TASK)
    call(kernel, "kernel.start", "subject")
    call(kernel, "subject.daemonise")
    with kernel.client() as client:
        run = str(table(client.call("kernel.start", "errand").value)["run"])
        until(lambda: [row for row in fates.runs(kernel, "errand") if row["pid"]], "the errand's process")
        template = kernel.template_pid
        below = fates.under(template)
        os.kill(template, signal.SIGKILL)
        until(lambda: not fates.living(below), "every run gone", 1.0)
        assert kernel.entry("run.left", run=run).detail["exit"] == "nobody saw its process end"
        until(lambda: [row for row in fates.runs(kernel, "errand") if row["pid"]], "the errand goes on")
        client.call("kernel.stop", run)
        assert table(client.call("kernel.wait", "", {"run": run}).value)["outcome"] == "cancelled"
    until(lambda: state_of(kernel, "subject") == "ready", "the service is back")
    assert kernel.template_pid != template
    assert "the template died" in kernel.entry("note").why


def test_stop_ends_grandchildren_too(kernel: Shared) -> None:
    call(kernel, "kernel.start", "subject")
    call(kernel, "subject.daemonise")
    family = [one := psutil.Process(pid_of(kernel, "subject")), *one.children(recursive=True)]
    assert len(family) == 2
    assert call(kernel, "kernel.stop", "subject") == {"stopped": 1}
    assert not fates.living(family)
    assert kernel.entries("run.end")[-1].verdict == "ended"
    assert state_of(kernel, "subject") == "stopped"


def test_a_hand_deaf_to_stop_and_term_is_killed_after_its_grace(kernel: Shared) -> None:
    call(kernel, "kernel.start", "subject")
    call(kernel, "subject.deaf")
    process = psutil.Process(pid_of(kernel, "subject"))
    until(lambda: _blocks(process.pid, signal.SIGTERM), "deaf")
    began = time.monotonic()
    call(kernel, "kernel.stop", "subject")
    assert 4 < time.monotonic() - began < 10
    assert not process.is_running()
    end = kernel.entry("run.end")
    assert (end.verdict, end.why, end.detail["exit"]) == ("ended", "stopped by its operator", "killed by SIGKILL")


def _blocks(pid: int, number: int) -> bool:
    """Whether a process's first thread blocks a signal."""
    told = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(told["SigBlk"], 16) >> number - 1 & 1)


def test_what_others_need_comes_up_first_and_goes_down_last(kernel: Shared) -> None:
    for name, needs in (("below", ""), ("middle", '"below"'), ("above", '"middle", "below"')):
        install(kernel, needing(name, needs))
    call(kernel, "kernel.start", "above")
    started = [one.detail["name"] for one in kernel.entries("run.start")]
    assert started == ["below", "middle", "above"]
    runs = {one.run: str(one.detail["name"]) for one in kernel.entries("run.start")}
    kernel.down()
    assert [runs[one.run] for one in kernel.entries("run.end")] == ["above", "middle", "below"]


def test_a_service_nobody_calls_stops_when_idle_but_not_while_another_needs_it_nor_if_its_idle_is_0s(
    kernel: Shared,
) -> None:
    never = needing("never", "")
    install(kernel, Source(never.toml.replace('idle = "100ms"', 'idle = "0s"'), never.main))
    install(kernel, needing("below", ""))
    install(kernel, needing("above", '"below"'))
    call(kernel, "never.say")
    call(kernel, "above.say")
    idle = kernel.entry("run.end", why="idle")
    _, first, second = kernel.entries("run.start")
    assert (first.detail["name"], second.detail["name"]) == ("below", "above")
    assert idle.run == second.run
    kernel.entry("run.end", why="idle", run=first.run)
    assert [row["hand"] for row in fates.runs(kernel)] == ["never"]
    assert call(kernel, "below.say") == {}  # and at its next call it is there again


def test_a_call_open_when_its_service_dies_ends_once_and_one_that_only_reads_is_made_again(kernel: Shared) -> None:
    call(kernel, "kernel.start", "subject")
    with kernel.client() as client:
        how: list[str] = []
        waiting = threading.Thread(target=lambda: how.append(ended(client, "subject.hang")))
        waiting.start()
        died = 0
        for _ in range(2):  # it only reads: the first death gives it to the next process, the second ends it
            at = until(lambda: [row for row in fates.runs(kernel) if row["open"] and row["pid"] != died], "delivered")
            died = int(str(at[0]["pid"]))
            os.kill(died, signal.SIGKILL)
        waiting.join(fates.PATIENCE)
    assert how == ["poison"]
    (number,) = {one.call for one in kernel.entries("call") if one.method == "subject.hang"}
    kernel.entry("end", call=number)
    kernel.down()
    assert len([one for one in kernel.entries("end") if one.call == number]) == 1


MORTAL = Source(SUBJECT.toml.replace("subject", "mortal"), SUBJECT.main)


@pytest.mark.wide
def test_a_new_version_gets_a_chance_of_its_own_whatever_the_one_before_died_of(kernel: Shared) -> None:
    install(kernel, MORTAL)
    call(kernel, "kernel.start", "mortal")
    for times in range(3):
        until(lambda: state_of(kernel, "mortal") == "ready", "ready")
        os.kill(pid_of(kernel, "mortal"), signal.SIGKILL)
        until(lambda: len(kernel.entries("run.end")) > times, "its death in the log")
    assert state_of(kernel, "mortal") == "quarantined"
    install(kernel, Source(MORTAL.toml.replace('"1.0.0"', '"1.0.1"'), MORTAL.main))
    assert table(call(kernel, "kernel.status"))["quarantined"] == {}
    with kernel.client() as client:
        assert ended(client, "mortal.say") == "done"
    for version in ("1.0.2", "1.0.3"):
        for _ in range(2):
            before = len(kernel.entries("run.end"))
            until(lambda: state_of(kernel, "mortal") == "ready", "ready")
            os.kill(pid_of(kernel, "mortal"), signal.SIGKILL)
            until(lambda: len(kernel.entries("run.end")) > before, "its death in the log")
        install(kernel, Source(MORTAL.toml.replace('"1.0.0"', f'"{version}"'), MORTAL.main))
    assert state_of(kernel, "mortal") != "quarantined"
