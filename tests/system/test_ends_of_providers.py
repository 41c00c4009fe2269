"""Whatever a provider does, each of its calls has exactly one end: it dies, answers twice, sends too much, is full."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kernel.cli.client import Client
from tests.living import Kernel, Source, install
from tests.system.attacks import Raw, ask, besieged, got, open_calls, operators, play, settled, word
from tests.system.fates import call, ended, entries, entry, pid_of, runs, state_of, table, until
from wire import codec, headers, limits
from wire.canonical import INT_LIMIT
from wire.codec import NIL

WORKING = 20_000
"""A deadline in milliseconds that no test waits for."""

AT_ONCE = 4
"""Calls that odd takes at a time."""

BRITTLE = Source(
    """
[hand]
name = "brittle"
version = "1.0.0"
description = "Dies the moment it is ready."
entry = "main:Brittle"
kind = "service"
autonomy = "readonly"

[provides."brittle.get"]
summary = "Never answered"
resource = "none"
effect = "read"

[restart]
times = 1000
within = "1s"
""",
    """
import os, threading, time
from runtime import Call, Hand


class Brittle(Hand):
    async def start(self) -> None:
        open("here", "x").close()
        while not os.path.exists("go"):
            time.sleep(0.005)
        threading.Thread(target=self.die, daemon=True).start()

    def die(self) -> None:
        time.sleep(0.1)
        os._exit(9)

    async def get(self, call: Call) -> object:
        while True:
            pass
""",
)


LEAVING = Source(
    """
[hand]
name = "leaving"
version = "1.0.0"
description = "Leaves of its own will, and takes its time."
entry = "main:Leaving"
kind = "service"
autonomy = "readonly"

[provides."leaving.run"]
summary = "Which run this is; the first one leaves when it is asked to"
resource = "none"
effect = "read"
params = { leave = "bool?" }
""",
    """
import asyncio
import os
import signal

from runtime import Call, Hand


class Leaving(Hand):
    async def run(self, call: Call, leave: bool = False) -> object:
        if leave:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.run_id

    async def stop(self) -> None:
        (self.state / "leaves").touch()
        await asyncio.sleep(0.5)
""",
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with besieged(tmp_path_factory.mktemp("providers")) as kernel:
        yield kernel


@pytest.fixture
def raw(kernel: Kernel) -> Iterator[Raw]:
    """A peer that reads only when asked. It finds odd up; afterwards every call has its end."""
    with kernel.client() as client:
        client.call("kernel.start", "odd")
    with Raw(kernel.home, operators(kernel.home)) as raw:
        yield raw.hello()
    settled(kernel)


def up_again(kernel: Kernel) -> None:
    """Odd has died; it does not wait for its time, but starts now."""
    until(lambda: state_of(kernel, "odd") == "backing_off", "odd has died")
    call(kernel, "kernel.start", "odd")


def failed(raw: Raw, number: int) -> str:
    """The code with which a call failed."""
    end = raw.end_of(number)
    assert isinstance(end, headers.Failed), end
    return end.code


def test_a_call_to_a_provider_that_is_backing_off_waits_for_its_next_start(kernel: Kernel, raw: Raw) -> None:
    os.kill(pid_of(kernel, "odd"), signal.SIGKILL)
    until(lambda: state_of(kernel, "odd") == "backing_off", "odd has died")
    raw.call(1, "odd.good", deadline=WORKING)
    assert isinstance(raw.end_of(1), headers.Done)


def test_three_ends_of_one_call_are_one(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.twice")
    header, body = raw.must_take()
    assert isinstance(header, headers.Done)
    assert codec.decode_body(body) == "first"
    raw.call(3, "odd.good")
    assert isinstance(raw.must_take()[0], headers.Done)
    assert raw.take(100) is None


def test_an_effect_whose_provider_dies_is_not_made_again(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.die-external")
    assert failed(raw, 1) == "outcome unknown"
    up_again(kernel)
    assert raw.take(100) is None


def test_a_read_is_made_again_once_and_its_caller_notices_nothing(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.die-once")
    up_again(kernel)
    header, body = raw.must_take()
    assert isinstance(header, headers.Done)
    assert codec.decode_body(body) == {"again": True}
    assert raw.take(100) is None


def test_a_call_open_at_two_deaths_of_its_provider_is_poison(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.die")
    up_again(kernel)
    assert failed(raw, 1) == "poison"
    with kernel.client() as client:
        client.call("kernel.start", "odd")
        assert ended(client, "odd.good") == "done"


def test_a_stream_that_breaks_keeps_what_came_and_fails(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.die-streaming")
    pieces = []
    while isinstance((found := raw.must_take())[0], headers.Chunk):
        pieces.append(codec.decode_body(found[1]))
    assert pieces == [b"a piece", b"another"]
    assert isinstance(found[0], headers.Failed)
    assert found[0].code == "ended"
    up_again(kernel)
    assert raw.take(100) is None


def test_an_upload_whose_provider_dies_fails(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.swallow", upload=True)
    for _ in range(limits.GIVEN_BACK):
        raw.send(headers.Chunk(number=1), codec.encode_body(b"a piece"))
    assert isinstance(raw.must_take()[0], headers.Credit)
    os.kill(pid_of(kernel, "odd"), signal.SIGKILL)
    assert failed(raw, 1) == "ended"
    raw.send(headers.Chunk(number=1), codec.encode_body(b"a piece"))
    up_again(kernel)
    assert raw.take(100) is None


def test_an_end_that_was_said_before_death_counts(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.die-after")
    header, body = raw.must_take()
    assert isinstance(header, headers.Done)
    assert codec.decode_body(body) == "done"
    up_again(kernel)
    assert raw.take(100) is None


def test_all_calls_at_a_dead_provider_and_those_that_wait_for_it_have_their_ends(kernel: Kernel, raw: Raw) -> None:
    numbers = range(1, 25, 2)
    for number in numbers:
        raw.call(number, "odd.frames", {"frames": [word(headers.Ready()), NIL], "linger": True}, deadline=WORKING)
    with kernel.client() as client:
        until(lambda: open_at(client, "odd") == AT_ONCE, "it answers as many as it takes")
    os.kill(pid_of(kernel, "odd"), signal.SIGKILL)
    first = [raw.must_take()[0] for _ in range(AT_ONCE)]
    assert all(isinstance(one, headers.Failed) and one.code == "outcome unknown" for one in first)
    call(kernel, "kernel.stop", "odd")
    rest = [raw.must_take()[0] for _ in range(len(numbers) - AT_ONCE)]
    assert {one.number for one in (*first, *rest)} == set(numbers)  # type: ignore[union-attr]
    assert raw.take(100) is None


def test_a_provider_that_sends_without_credit_is_ended(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.greedy")
    for _ in range(limits.WINDOW):
        assert isinstance(raw.must_take()[0], headers.Chunk)
    assert failed(raw, 1) == "ended"
    until(lambda: any("without credit" in one.why for one in entries(kernel.home, "run.end")), "the log says why")


def test_a_provider_takes_so_many_at_once_and_waiting_callers_take_turns(kernel: Kernel, raw: Raw) -> None:
    """The operator has far more waiting than a run, and was there first; the run is served next but one at most."""
    good = ["send", word(headers.Call(number=10_001, method="odd.good", deadline=WORKING)), NIL]
    with kernel.client() as client:
        for number in range(1, 33, 2):
            raw.call(number, "odd.never", deadline=WORKING)
        until(lambda: open_at(client, "odd") == AT_ONCE, "it answers as many as it takes")
        inputs = {"steps": [good, ["take", 1]]}
        run = str(table(client.call("kernel.start", "puppet", {"inputs": inputs}).value)["run"])
        until(
            lambda: open_calls(client) == 18, "sixteen calls of one caller are open, the run's work, and what it asks"
        )
        assert open_at(client, "odd") == AT_ONCE
        raw.send(headers.Cancel(number=1))
        raw.send(headers.Cancel(number=3))
        (taken,) = got(table(client.call("kernel.wait", "", {"run": run}).value))
        assert isinstance(taken, list)
        assert isinstance(taken[0], bytes)
        assert isinstance(codec.decode_from_kernel(taken[0]), headers.Done)
        assert open_calls(client) == 14
        for number in (1, 3):
            assert isinstance(raw.end_of(number), headers.Cancelled)


def open_at(client: Client, hand: str) -> int:
    """How many calls are open at a Hand's one run."""
    rows = table(client.call("kernel.ps").value)["runs"]
    assert isinstance(rows, list)
    (row,) = [row for row in map(table, rows) if row["hand"] == hand]
    assert isinstance(row["open"], int)
    return row["open"]


def test_what_a_provider_claims_to_cost_cannot_break_its_callers_end(kernel: Kernel, raw: Raw) -> None:
    costly = ask("odd.costly", {"tokens": INT_LIMIT - 1})
    with kernel.client() as client:
        outcome = play(client, *costly * 3)
    assert outcome["outcome"] == "done"
    assert entry(kernel.home, "run.end", run=str(outcome["run"])).detail["cost"] == INT_LIMIT - 1


def test_what_a_provider_marks_its_replies_with_cannot_end_its_callers(kernel: Kernel, raw: Raw) -> None:
    most = limits.LABELS_MAX
    labelled = [
        step for first in range(0, 3 * most, most) for step in ask("odd.labelled", {"first": first, "count": most})
    ]
    own = tuple(f"own-{number}" for number in range(most))
    publish = word(headers.Publish(number=10_003, event="noise", labels=own))
    raw.send(headers.Subscribe(number=1, event="puppet.noise"))
    assert isinstance(raw.end_of(1), headers.Done)
    with kernel.client() as client:
        outcome = play(client, *labelled, ["send", publish, NIL], ["take", 1])
    assert outcome["outcome"] == "done", outcome
    event, _ = raw.must_take()
    assert isinstance(event, headers.Event)
    assert 0 < len(event.labels) <= most


def test_a_provider_that_dies_again_and_again_leaves_no_caller_waiting(kernel: Kernel) -> None:
    """Callers call while it is killed under them; each of their calls ends."""
    fates: list[str] = []

    def calls() -> None:
        with kernel.client() as client:
            fates.extend(ended(client, "odd.good", seconds=20) for _ in range(40))

    callers = [threading.Thread(target=calls) for _ in range(3)]
    for caller in callers:
        caller.start()
    for _ in range(6):
        for run in runs(kernel, "odd"):
            assert isinstance(run["pid"], int)
            if run["pid"]:
                with suppress(ProcessLookupError):  # it may have died of the kill before
                    os.kill(run["pid"], signal.SIGKILL)
        call(kernel, "kernel.start", "odd")
    while waiting := [caller for caller in callers if caller.is_alive()]:
        call(kernel, "kernel.start", "odd")  # a kill may be noticed after the last start; then it backs off for long
        waiting[0].join(0.1)
    assert len(fates) == 120
    assert set(fates) <= {"done", "poison", "ended"}
    assert fates.count("done") > 60
    settled(kernel)


@pytest.mark.wide
def test_calls_handed_to_a_provider_that_is_just_dying_are_not_lost(kernel: Kernel, raw: Raw) -> None:
    """The first of them finds the link cut before the kernel has heard of the death; the others wait for the next start."""
    install(kernel, BRITTLE)
    fates: dict[int, str] = {}
    numbers = range(1, 9, 2)
    for number in numbers:
        raw.call(number, "brittle.get", deadline=3 * WORKING)
    while len(fates) < len(numbers):
        die_when_ready(kernel, "brittle")  # the kernel may hear of the death first, and has handed it nothing then
        while found := raw.take(50):
            assert isinstance(found[0], headers.Failed)
            fates[found[0].number] = found[0].code
    assert fates == dict.fromkeys(numbers, "poison")


def die_when_ready(kernel: Kernel, hand: str) -> None:
    """The kernel, which stood still, hears of the Hand's readiness, its link's cut and its death at once."""
    until(lambda: state_of(kernel, hand) == "starting", "it starts")
    (row,), pid = runs(kernel, hand), pid_of(kernel, hand)
    scratch = kernel.home / "scratch" / str(row["run"])
    until((scratch / "here").exists, "it is in its start()")
    os.kill(kernel.pid, signal.SIGSTOP)
    try:
        (scratch / "go").touch()
        until(lambda: is_over(pid), "it has said that it is ready, and died")
    finally:
        os.kill(kernel.pid, signal.SIGCONT)
    until(lambda: state_of(kernel, hand) != "starting", "its death is noticed")


def is_over(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_value_that_is_no_value_reaches_nobody_as_one(kernel: Kernel, raw: Raw) -> None:
    """A task's end may carry any bytes; whoever waits for the run is told so, and not handed them."""
    with kernel.client() as client:
        run = table(client.call("kernel.start", "puppet", {"inputs": {"steps": [["done", b"\xc1\xc1\xc1"]]}}).value)[
            "run"
        ]
        outcome = table(client.call("kernel.wait", "", {"run": run}, seconds=10).value)
    assert outcome["value"] is None
    assert "cannot be read" in str(outcome["text"])


def test_a_service_that_leaves_of_its_own_will_is_back_for_a_call_that_came_meanwhile(kernel: Kernel) -> None:
    install(kernel, LEAVING)
    with kernel.client() as client:
        first = client.call("leaving.run", "", {"leave": True}).value
        until(lambda: list((kernel.home / "state").glob("*/leaves")), "it leaves")
        assert client.call("leaving.run").value != first


def test_a_service_that_leaves_after_each_call_is_back_for_the_next_one_ever_again(kernel: Kernel) -> None:
    """To leave is no death that counts, also where a call waits already: it was quarantined after five."""
    install(kernel, LEAVING)
    seen: set[str] = set()
    with kernel.client() as client:
        for _ in range(60):  # one that has not left yet answers more than one call
            seen.add(str(client.call("leaving.run", "", {"leave": True}).value))
            if len(seen) > 6:
                return
    raise AssertionError(f"only {len(seen)} processes answered")
