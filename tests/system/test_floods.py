"""Whoever asks too much is refused, then ended; the log says so in few words, and how much it was."""

import os
import socket
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from kernel.events import TOPICS_MOST
from tests.living import Kernel, Source, install
from tests.spread import spread
from tests.system.attacks import Raw, besieged, counted, floods, got, operators, play, settled, word
from tests.system.fates import call, descriptors, entries, entry, moment, runs, table, until
from tests.system.hostile import PUPPET
from wire import codec, headers
from wire.codec import NIL, Value
from wire.ids import OPERATOR
from wire.rates import SINGLY

LIMIT = 300
"""Calls a minute that a puppet may make."""

NOW = 64
"""Refill of an allowance while a test runs, and the slack of a flood's bound, in calls."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with besieged(tmp_path_factory.mktemp("floods")) as kernel:
        yield kernel


SAY = codec.encode_body({"text": "hi"})
REQUESTS: dict[str, list[bytes]] = {
    "answered": [word(headers.Call(number=10_001, method="kernel.budget")), codec.encode_body({})],
    "failing": [word(headers.Call(number=10_001, method="kernel.wait")), SAY],
    "of a wrong resource": [word(headers.Call(number=10_001, method="odd.stream", resource="x")), SAY],
    "of nobody": [word(headers.Call(number=10_001, method="nobody.knows")), SAY],
    "the operator's": [word(headers.Call(number=10_001, method="kernel.down")), NIL],
    "publications": [word(headers.Publish(number=10_001, event="noise")), SAY],
    "ungranted events": [word(headers.Subscribe(number=10_001, event="echo.never")), NIL],
}


def is_told(kernel: Kernel, code: str, principal: str, count: int) -> bool:
    """Whether the log tells of so many refusals."""
    return counted(kernel.home, code, principal) == count


def ends(messages: list[Value]) -> Counter[str]:
    """How many of what a puppet took are ends of which kind, refusals by their reason."""
    found: Counter[str] = Counter()
    for message in messages:
        assert isinstance(message, list)
        assert isinstance(message[0], bytes)
        header = codec.decode_from_kernel(message[0])
        found[header.code if isinstance(header, headers.Refused) else type(header).__name__] += 1
    return found


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_request_counts_whatever_becomes_of_it(kernel: Kernel, kind: str) -> None:
    """After a minute's allowance of them, no other call is let through either."""
    asked = REQUESTS[kind]
    count = LIMIT + 60
    good = [word(headers.Call(number=10_003, method="echo.say")), SAY]
    with kernel.client() as client:
        for_each: list[list[object]] = [["send", *asked], ["take", 1]] * count
        taken = got(play(client, *for_each, ["send", *good], ["take", 1]))
    found = ends(taken)
    assert LIMIT - 2 <= count + 1 - found["rate"] <= LIMIT + NOW, found
    assert ends(taken[-1:]) == {"rate": 1}


@pytest.mark.parametrize("kind", spread(REQUESTS, 3))
def test_beyond_twice_its_limit_a_run_is_ended(kernel: Kernel, kind: str) -> None:
    asked = REQUESTS[kind]
    with kernel.client() as client:
        outcome = play(client, ["many", 3 * LIMIT, *asked], ["wait", "never"], seconds=30)
    assert (outcome["outcome"], outcome["code"]) == ("failed", "ended")
    assert "flood" in str(outcome["text"])
    settled(kernel)
    told = [one for one in entries(kernel.home, "refusal", "flood") if one.principal == outcome["run"]]
    assert 0 < len(told) < 5 * SINGLY


def test_a_flood_is_told_once_a_second_for_each_reason_with_its_count(kernel: Kernel) -> None:
    """Not one of them is lost to the log, and not one is told twice."""
    with kernel.client() as client:
        one: list[list[object]] = [["send", word(headers.Call(number=10_001, method="nobody.knows")), NIL], ["take", 1]]
        outcome = play(client, *one * (LIMIT + 100))
    found, run = ends(got(outcome)), str(outcome["run"])
    assert found["no provider"] + found["rate"] == LIMIT + 100
    assert found["rate"] > 50
    for code, count in found.items():
        until(partial(is_told, kernel, code, run, count), f"all of {code!r} are told")
        singly, together = floods(kernel.home, code, run)
        assert max(Counter(int(moment(one)) for one in singly).values()) <= 2 * SINGLY  # seconds of two clocks
        assert max(Counter(int(moment(one)) for one in together).values()) <= 2


@pytest.mark.wide
def test_a_flood_of_the_operators_is_told_in_few_words_too(kernel: Kernel) -> None:
    before, size = counted(kernel.home, "no provider", OPERATOR), len(entries(kernel.home))
    with Raw(kernel.home, operators(kernel.home)) as raw:
        raw.hello()
        for number in range(1, 20_001, 2):
            raw.call(number, "nobody.knows")
            if number % 100 == 99:
                assert isinstance(raw.end_of(number), headers.Refused)
    until(lambda: counted(kernel.home, "no provider", OPERATOR) == before + 10_000, "all ten thousand are told of")
    assert len(entries(kernel.home)) - size < 10 * SINGLY


def test_calls_open_at_once_are_bounded(kernel: Kernel) -> None:
    with kernel.client() as client:
        steps = [
            ["send", word(headers.Call(number=number, method="odd.never", deadline=60_000)), codec.encode_body({})]
            for number in range(10_001, 10_041, 2)
        ]
        taken = got(play(client, *steps, ["take", 4], ["send", word(headers.Cancel(number=10_001)), NIL], ["take", 1]))
    assert ends(taken) == {"in_flight": 4, "Cancelled": 1}
    settled(kernel)


def test_one_hand_does_not_take_every_place_of_a_provider(kernel: Kernel) -> None:
    """odd answers four calls at once; whoever comes while a Hand has as many open that never end is answered all the same."""
    never = [
        ["send", word(headers.Call(number=number, method="odd.never", deadline=60_000)), NIL]
        for number in range(10_001, 10_009, 2)
    ]
    with Raw(kernel.home, operators(kernel.home)) as other, kernel.client() as client:
        client.call("odd.good")
        work = table(client.call("kernel.start", "puppet", {"inputs": {"steps": [*never, ["wait", "never"]]}}).value)
        until(
            lambda: [one for one in runs(kernel, "puppet") if one["open"] == 5], "its four calls are open, and its work"
        )
        other.hello().call(1, "odd.good", deadline=10_000)
        assert isinstance(other.end_of(1), headers.Done)
        client.call("kernel.stop", str(work["run"]))
    settled(kernel)


def test_events_that_one_peer_hears_are_bounded(kernel: Kernel) -> None:
    with Raw(kernel.home, operators(kernel.home)) as raw:
        raw.hello()
        found: Counter[str] = Counter()
        for number in range(TOPICS_MOST + 4):
            raw.send(headers.Subscribe(number=2 * number + 1, event=f"puppet.noise-{number}"))
            end = raw.end_of(2 * number + 1)
            found[end.code if isinstance(end, headers.Refused) else "Done"] += 1
        assert found == {"Done": TOPICS_MOST, "subscriptions": 4}
        raw.send(headers.Subscribe(number=9_999, event="puppet.noise-0"))  # which it hears already
        assert isinstance(raw.end_of(9_999), headers.Done)
    with Raw(kernel.home, operators(kernel.home)) as raw:
        raw.hello().send(headers.Subscribe(number=1, event="puppet.noise-0"))
        assert isinstance(raw.end_of(1), headers.Done)


WAITER = Source(
    """
[hand]
name = "waiter"
version = "1.0.0"
description = "Asks for too much, and waits as it is told."
entry = "main:Waiter"
kind = "task"
autonomy = "full"

[limits]
calls_per_minute = 120
""",
    """
import asyncio

from runtime import CallRefused, Hand


class Waiter(Hand):
    async def run(self):
        refused = 0
        while refused < 3:
            try:
                await self.kernel.budget()
            except CallRefused as told:
                refused += told.code == "rate"
        await asyncio.sleep(2)
        await self.kernel.sleep(1)
        await self.kernel.budget()
        return refused
""",
)


def test_who_is_refused_for_its_pace_waits_and_goes_on(kernel: Kernel) -> None:
    install(kernel, WAITER)
    told = table(call(kernel, "kernel.start", "waiter", {"wait": True}, seconds=30))
    assert (told["outcome"], told["value"]) == ("done", 3), told


def test_spawned_runs_that_still_work_are_bounded(kernel: Kernel) -> None:
    """A run cannot fill the machine with runs, each of which could do the same."""
    install(
        kernel, Source(PUPPET.toml.replace("puppet", "brood").replace("in_flight = 16", "in_flight = 4"), PUPPET.main)
    )
    spawn = word(headers.Call(number=10_001, method="kernel.spawn", resource="brood"))
    waiting = codec.encode_body({"inputs": {"steps": [["wait", "never"]]}, "detached": True})
    with kernel.client() as client:
        one: list[list[object]] = [["send", spawn, waiting], ["take", 1]]
        found = ends(got(play(client, *one * 6, hand="brood")))
    call(kernel, "kernel.stop", "brood")
    until(lambda: not runs(kernel, "brood"), "all of them are gone")
    assert found == {"Done": 4, "in_flight": 2}
    settled(kernel)


def test_connections_by_the_thousand_leave_no_descriptor_and_no_peer_behind(kernel: Kernel) -> None:
    """Some say Hello, some Bye, some nothing; all are cut."""
    with kernel.client() as client:
        client.call("kernel.status")
        before = descriptors(kernel.pid)
        for number in range(300):
            with Raw(kernel.home, operators(kernel.home) if number % 3 else None) as raw:
                if number % 3:
                    raw.hello()
                if number % 3 == 2:
                    raw.call(1, "kernel.sleep", {"milliseconds": 60_000})
        until(lambda: descriptors(kernel.pid) <= before, "every connection is closed")
    settled(kernel)


def test_half_open_connections_keep_nobody_out(kernel: Kernel) -> None:
    folder = os.open(kernel.home / "run", os.O_PATH)
    links = [socket.socket(socket.AF_UNIX) for _ in range(300)]
    for number, link in enumerate(links):
        link.connect(f"/proc/self/fd/{folder}/bus")
        link.sendall(b"\xff" * (number % 12))
    assert call(kernel, "echo.say", arguments={"text": "in between"}) == {"text": "in between"}
    for link in links:
        link.close()
    os.close(folder)


def test_the_log_says_who_was_ended_and_why(kernel: Kernel) -> None:
    with kernel.client() as client:
        run = str(play(client, ["send", b"junk", NIL], ["wait", "never"])["run"])
    found = entry(kernel.home, "refusal", principal=run, code="malformed")
    assert found.why.startswith("ended: not a header")
    assert "not a header" in entry(kernel.home, "run.end", run=run).why
