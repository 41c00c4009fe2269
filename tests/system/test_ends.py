"""Whatever befalls a call, it has exactly one end, the right one: callers that go, that take nothing, that take back.

What befalls it at its provider is in test_ends_of_providers.py.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import Kernel
from tests.system.attacks import MIB, Raw, besieged, got, memory, open_calls, operators, play, settled, small, word
from tests.system.fates import ended, entries, entry, moment, pid_of, runs, table, until
from wire import codec, headers, limits
from wire.entries import Entry

WORKING = 20_000
"""A deadline in milliseconds that no test waits for."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with besieged(tmp_path_factory.mktemp("ends")) as kernel:
        yield kernel


@pytest.fixture
def raw(kernel: Kernel) -> Iterator[Raw]:
    """A peer that reads only when asked; afterwards every call has its end."""
    with Raw(kernel.home, operators(kernel.home)) as raw:
        yield raw.hello()
    settled(kernel)


def end_in_log(home: Path, method: str) -> Entry:
    """The end of the last call of a method, once it is on disk."""
    return entry(home, "end", call=last_call(home, method).call)


def last_call(home: Path, method: str) -> Entry:
    """The last call of a method, once it is on disk."""
    return until(lambda: [one for one in entries(home, "call") if one.method == method], f"a call of {method}")[-1]


def silent(raw: Raw, milliseconds: int = 150) -> bool:
    """Whether nothing more comes."""
    return raw.take(milliseconds) is None


def comes(raw: Raw, chunks: int) -> bool:
    """Whether so many chunks come, however long they take, and no more."""
    for _ in range(chunks):
        header, _ = raw.must_take()
        assert isinstance(header, headers.Chunk), header
    return silent(raw, 300)


def test_a_call_that_nobody_answers_ends_at_its_deadline(kernel: Kernel, raw: Raw) -> None:
    begun = time.monotonic()
    raw.call(1, "odd.never", deadline=200)
    end = raw.end_of(1)
    assert isinstance(end, headers.Failed)
    assert end.code == "deadline"
    assert 0.2 <= time.monotonic() - begun < 15
    assert silent(raw)
    with kernel.client() as client:
        assert ended(client, "odd.good") == "done"


@pytest.mark.parametrize("method", ["kernel.sleep", "kernel.wait"])
def test_the_kernels_own_methods_keep_deadlines_too(kernel: Kernel, raw: Raw, method: str) -> None:
    with kernel.client() as client:
        run = table(client.call("kernel.start", "puppet", {"inputs": {"steps": [["wait", "enough"]]}}).value)["run"]
        arguments = {"milliseconds": 600_000} if method == "kernel.sleep" else {"run": run}
        raw.call(1, method, arguments, deadline=100)
        end = raw.end_of(1)
        assert isinstance(end, headers.Failed)
        assert end.code == "deadline"
        (kernel.home / "scratch" / str(run) / "enough").touch()


def test_a_nested_call_never_outlives_its_parent(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.nest", {"milliseconds": 600_000}, deadline=300)
    end = raw.end_of(1)
    assert isinstance(end, headers.Failed)
    assert end.code == "deadline"
    outer = last_call(kernel.home, "odd.nest")
    inner = entry(kernel.home, "call", method="kernel.sleep", parent=outer.call)
    ends = [entry(kernel.home, "end", call=one.call) for one in (outer, inner)]
    assert abs(moment(ends[0]) - moment(ends[1])) < 0.1
    assert ends[1].verdict in ("failed", "cancelled")


def test_a_nested_call_is_given_no_more_time_than_its_parent_has(kernel: Kernel) -> None:
    """A puppet's work has two minutes; it asks for ten."""
    asked = word(headers.Call(number=10_001, method="odd.time-left", deadline=600_000))
    with kernel.client() as client:
        (answer,) = got(play(client, ["send", asked, codec.encode_body({})], ["take", 1]))
    assert isinstance(answer, list)
    assert isinstance(answer[1], bytes)
    left = table(codec.decode_body(answer[1]))["milliseconds"]
    assert isinstance(left, int)
    assert 100_000 < left <= 120_000


def test_a_cancelled_call_ends_at_once_and_what_its_provider_says_later_is_nothing(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.deaf", deadline=WORKING)
    with kernel.client() as client:
        until(lambda: open_calls(client) == 1, "it is open")
        raw.send(headers.Cancel(number=1, why="changed my mind"))
        end = raw.end_of(1)
        assert isinstance(end, headers.Cancelled)
        assert end.why == "changed my mind"
        assert ended(client, "odd.good") == "done"
    raw.send(headers.Cancel(number=1))
    assert silent(raw)
    assert end_in_log(kernel.home, "odd.deaf").verdict == "cancelled"


def test_a_parents_end_takes_back_what_was_called_for_it(kernel: Kernel, raw: Raw) -> None:
    """Also when its provider, who made the inner call, thinks nothing of it."""
    raw.call(1, "odd.orphan", deadline=600_000)
    with kernel.client() as client:
        until(lambda: open_calls(client) == 2, "both are open")
        raw.send(headers.Cancel(number=1))
        assert isinstance(raw.end_of(1), headers.Cancelled)
        until(lambda: open_calls(client) == 0, "both have ended")


def test_a_number_is_used_for_one_open_call_only(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.never", deadline=WORKING)
    raw.call(1, "odd.good")
    assert silent(raw)
    assert end_in_log(kernel.home, "odd.never").verdict == "cancelled"


def test_a_caller_that_is_cut_off_leaves_nothing_open(kernel: Kernel) -> None:
    """Without Bye, and with calls waiting, delivered and streaming."""
    with Raw(kernel.home, operators(kernel.home)) as raw, kernel.client() as client:
        raw.hello()
        for number in range(1, 13, 2):
            raw.call(number, "odd.never", deadline=600_000)
        raw.call(13, "odd.stream", {"chunks": 1_000, "size": 1_000}, deadline=600_000)
        raw.call(15, "kernel.sleep", {"milliseconds": 600_000}, deadline=600_000)
        until(lambda: open_calls(client) == 8, "all are open")
        raw.close()
        until(lambda: open_calls(client) == 0, "all have ended")
        assert ended(client, "odd.good") == "done"
    assert end_in_log(kernel.home, "odd.never").verdict == "cancelled"


def test_a_caller_that_says_bye_leaves_nothing_open(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.never", deadline=600_000)
    raw.send(headers.Bye())
    assert silent(raw)
    settled(kernel)


def test_a_run_that_is_killed_goes_on_and_leaves_nothing_open_when_it_is_stopped(kernel: Kernel) -> None:
    never = word(headers.Call(number=10_001, method="odd.never", deadline=600_000))
    with kernel.client() as client:
        steps = [["send", never, codec.encode_body({})], ["wait", "never"]]
        run = table(client.call("kernel.start", "puppet", {"inputs": {"steps": steps}}).value)["run"]
        until(lambda: open_calls(client) == 2, "its work and its call are open")
        os.kill(pid_of(kernel, "puppet"), signal.SIGKILL)
        entry(kernel.home, "run.left", run=run)
        until(lambda: pid_of(kernel, "puppet"), "its next process")
        assert open_calls(client) == 2
        client.call("kernel.stop", str(run))
        until(lambda: open_calls(client) == 0, "both have ended")
        outcome = table(client.call("kernel.wait", "", {"run": run}).value)
    assert outcome["outcome"] == "cancelled"
    assert len([one for one in entries(kernel.home, "call") if one.method == "odd.never" and one.run == run]) == 1


def test_a_reader_that_gives_no_credit_gets_a_window_and_holds_up_nobody(kernel: Kernel, raw: Raw) -> None:
    before = memory(kernel)
    raw.call(1, "odd.stream", {"chunks": 500, "size": MIB - 100}, deadline=WORKING)
    assert comes(raw, limits.WINDOW)
    with kernel.client() as client:
        assert ended(client, "odd.good") == "done"
        assert ended(client, "echo.say", "", {"text": "neighbour"}) == "done"
    for _ in range(3):
        raw.send(headers.Credit(number=1, chunks=2))
        assert comes(raw, 2)
    assert memory(kernel) - before < 32 * MIB
    raw.send(headers.Cancel(number=1))
    assert isinstance(raw.end_of(1), headers.Cancelled)


@pytest.mark.wide
def test_a_reader_that_reads_nothing_at_all_is_ended_before_it_costs_much(kernel: Kernel) -> None:
    """Its replies wait in the kernel: as many as it may be sent before it takes one, then its link is over."""
    before = memory(kernel)
    with Raw(kernel.home, operators(kernel.home)) as raw:
        raw.hello()
        for number in range(1, 4_001, 2):
            raw.call(number, "echo.say", {"text": "x" * 1_000}, deadline=WORKING)
        with kernel.client() as client:
            until(lambda: open_calls(client) == 0, "all have ended")
            assert ended(client, "echo.say", "", {"text": "neighbour"}) == "done"
    assert memory(kernel) - before < 64 * MIB
    settled(kernel)


def test_more_credit_than_a_window_ends_its_sender(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.stream", {"chunks": 500, "size": 10}, deadline=WORKING)
    raw.send(headers.Credit(number=1, chunks=limits.WINDOW + 1))
    raw.call(3, "odd.good")
    while (found := raw.take(300)) is not None:
        assert isinstance(found[0], headers.Chunk)
    assert end_in_log(kernel.home, "odd.stream").verdict == "cancelled"


@pytest.mark.parametrize("fault", ["too many", "after the last", "none asked for"])
def test_an_upload_beyond_its_credit_ends_its_sender(kernel: Kernel, raw: Raw, fault: str) -> None:
    method = "odd.never"  # one that answers might have its end before, and what comes then is late and no fault
    raw.call(1, method, deadline=WORKING, upload=fault != "none asked for")
    piece = codec.encode_body(b"piece")
    if fault == "after the last":
        raw.send(headers.Chunk(number=1, last=True), piece)
    for _ in range(limits.WINDOW + 1):
        raw.send(headers.Chunk(number=1), piece)
    raw.call(3, "odd.good")
    while (found := raw.take(300)) is not None:
        assert not isinstance(found[0], headers.Done) or found[0].number == 1
    assert end_in_log(kernel.home, method).verdict in ("cancelled", "done")
    with kernel.client() as client:
        assert ended(client, "odd.good") == "done"


def test_an_upload_that_breaks_off_is_cancelled(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.swallow", deadline=WORKING, upload=True)
    raw.send(headers.Chunk(number=1), codec.encode_body(b"half of it"))
    raw.send(headers.Cancel(number=1))
    assert isinstance(raw.end_of(1), headers.Cancelled)
    raw.send(headers.Chunk(number=1), codec.encode_body(b"the other half"))
    raw.call(3, "odd.good")
    assert isinstance(raw.end_of(3), headers.Done)


def test_a_subscriber_that_gives_no_credit_misses_events_and_is_told(kernel: Kernel, raw: Raw) -> None:
    before = memory(kernel)
    raw.send(headers.Subscribe(number=1, event="puppet.noise"))
    assert isinstance(raw.end_of(1), headers.Done)
    many = 250
    noise = word(headers.Publish(number=10_001, event="noise"))
    with kernel.client() as client:
        body = codec.encode_body(bytes(MIB // 4))
        steps = [["send", noise, small(body)], ["take", 1]] * many
        assert play(client, *steps)["outcome"] == "done"
    found = [raw.must_take()[0] for _ in range(limits.EVENT_WINDOW)]
    assert all(isinstance(one, headers.Event) and one.missed == 0 for one in found)
    assert silent(raw)
    assert memory(kernel) - before < 64 * MIB
    raw.send(headers.Credit(number=0, chunks=1))
    event, _ = raw.must_take()
    assert isinstance(event, headers.Event)
    assert event.missed == many - 2 * limits.EVENT_WINDOW
    raw.send(headers.Credit(number=0, chunks=limits.EVENT_WINDOW))
    raw.send(headers.Credit(number=0, chunks=1))
    for _ in range(limits.EVENT_WINDOW - 1):
        raw.must_take()
    assert silent(raw)


def test_large_events_that_wait_for_a_subscriber_without_credit_are_bounded_by_their_bytes(
    kernel: Kernel, raw: Raw
) -> None:
    raw.send(headers.Subscribe(number=1, event="puppet.noise"))
    assert isinstance(raw.end_of(1), headers.Done)
    noise, size, many = word(headers.Publish(number=10_001, event="noise")), 900_000, 40
    with kernel.client() as client:
        spend = [["send", noise, small(codec.NIL)], ["take", 1]] * limits.EVENT_WINDOW
        wait = [["send", noise, small(codec.encode_body(bytes(size)))], ["take", 1]] * many
        assert play(client, *spend, *wait)["outcome"] == "done"
    for _ in range(limits.EVENT_WINDOW):
        raw.must_take()
    raw.send(headers.Credit(number=0, chunks=1))
    event, _ = raw.must_take()
    assert isinstance(event, headers.Event)
    assert event.missed == many - limits.EVENT_BYTES // size


def test_freeze_ends_what_is_open(kernel: Kernel, raw: Raw) -> None:
    raw.call(1, "odd.never", deadline=WORKING)
    raw.call(3, "odd.stream", {"chunks": 100, "size": 10}, deadline=WORKING)
    with kernel.client() as client:
        until(lambda: open_calls(client) == 2, "both are open")
        client.call("kernel.freeze")
        assert isinstance(raw.end_of(1), headers.Failed | headers.Refused)
        raw.call(5, "odd.good")
        assert isinstance(raw.end_of(5), headers.Refused)
        until(lambda: not runs(kernel), "nothing runs")
        client.call("kernel.thaw")
        client.call("kernel.start", "odd")
        assert ended(client, "odd.good") == "done"


@pytest.mark.parametrize("seed", range(4))
def test_in_any_storm_of_calls_each_has_one_end(kernel: Kernel, seed: int) -> None:
    """Random calls, credit, cancels, deadlines, deaths and departures; `besieged` compares the books afterwards."""
    chance = random.Random(seed)
    methods = [f"odd.{name}" for name in ("never", "good", "deaf", "twice", "stream", "nest", "die-streaming")]
    sent: set[int] = set()
    ends: list[int] = []
    with Raw(kernel.home, operators(kernel.home)) as raw:
        raw.hello()
        for number in range(1, 241, 2):
            method = chance.choice(methods)
            arguments = {
                "odd.stream": {"chunks": chance.randint(0, 20), "size": chance.choice([0, 10, 100_000])},
                "odd.nest": {"milliseconds": chance.randint(0, 400)},
            }.get(method, {})
            raw.call(number, method, arguments, deadline=chance.choice([1, 50, 300, 1_500]))
            sent.add(number)
            if chance.random() < 0.4:
                raw.send(headers.Cancel(number=chance.choice(sorted(sent))))
            while (found := raw.take(chance.choice([0, 0, 5]))) is not None:
                ends += taken(raw, found[0])
        while len(ends) < len(sent):
            ends += taken(raw, raw.must_take()[0])
        assert silent(raw, 50)
    assert sorted(ends) == sorted(sent)
    settled(kernel)


def taken(raw: Raw, header: headers.FromKernel) -> list[int]:
    """Give credit for a chunk; the number of what has ended."""
    if isinstance(header, headers.Chunk):
        raw.send(headers.Credit(number=header.number, chunks=1))
        return []
    assert isinstance(header, headers.Done | headers.Failed | headers.Refused | headers.Cancelled), header
    return [header.number]
