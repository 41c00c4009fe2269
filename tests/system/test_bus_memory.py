"""Nobody fills the kernel: large bodies, messages of many frames, ones that never end, and replies that nobody reads.

Separate from test_bus.py, where floods are of many messages: these are few, and large.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from kernel.watch import GROWN
from tests.living import Kernel
from tests.system.attacks import (
    GROWTH,
    MIB,
    PROMPT,
    Raw,
    besieged,
    call_word,
    floods,
    latencies,
    memory,
    operators,
    play,
    settled,
    small,
    storm,
)
from tests.system.fates import entries, table, until
from wire.codec import Value

REPLY = 900_000
"""Bytes of a large reply that nobody reads."""

KEPT_FOR_ONE = (64 + 3 * 16) * REPLY + 48 * MIB
"""What the kernel may grow by for a peer of large bodies: replies that it does not read, its calls that are read ahead,
open and on their way to the provider, and slack.
"""

MOST_BY_THEN = 768 * MIB
"""What one peer may send until it is found out: of the looks that find it, on two busy cores, one comes late."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with besieged(tmp_path_factory.mktemp("bus")) as kernel:
        yield kernel
        assert floods(kernel.home, "fault") == ([], []), "a message met a fault of the kernel's own"


@pytest.mark.wide
def test_large_bodies_by_the_hundred_cost_no_more_than_what_may_be_open(kernel: Kernel) -> None:
    def attack() -> Value:
        with kernel.client() as client:
            never, body = call_word(10_001, "odd.never", deadline=5_000), small(bytes(MIB))
            steps = [
                ["send", call_word(number, "odd.never", deadline=5_000), body] for number in range(20_001, 20_041, 2)
            ]
            return dict(play(client, *steps, ["many", 1_000, never, body], ["wait", "never"], seconds=60))

    outcome, latency, growth = storm(kernel, attack)
    assert table(outcome)["code"] == "ended", outcome
    assert latency < PROMPT
    assert growth < KEPT_FOR_ONE
    settled(kernel)


@pytest.mark.wide
def test_one_message_of_many_large_frames_costs_its_size_once_and_its_sender_the_link(kernel: Kernel) -> None:
    """libzmq bounds a frame, and not how many a message has."""
    before = memory(kernel)

    def attack() -> Value:
        with kernel.client() as client:
            return dict(play(client, ["send", *[small(bytes(MIB))] * 120], ["wait", "never"], seconds=60))

    outcome, latency, growth = storm(kernel, attack)
    assert table(outcome)["code"] == "ended", outcome
    assert latency < PROMPT
    assert growth < 120 * MIB + GROWTH
    until(lambda: memory(kernel) < before + GROWTH, "the kernel gives the memory back")
    settled(kernel)


@pytest.mark.alone
def test_a_message_that_does_not_come_to_its_end_costs_its_sender_the_link_before_it_fills_the_kernel(
    kernel: Kernel,
) -> None:
    """Frames that share one piece of memory cost their sender none; libzmq keeps them all until the last one has come."""
    before = memory(kernel)

    def attack() -> Value:
        with kernel.client() as client:
            return dict(play(client, ["endless", 6_000], ["wait", "never"], seconds=60))

    outcome, _, growth = storm(kernel, attack)
    assert "a message that does not end" in str(table(outcome)["text"]), outcome
    assert growth < GROWN + MOST_BY_THEN
    until(lambda: memory(kernel) < before + GROWTH, "the kernel gives the memory back")


def test_a_frame_beyond_all_bounds_is_cut_off_with_its_link(kernel: Kernel) -> None:
    """Not a byte of it is kept; a run that lives on without its link is ended all the same."""
    with kernel.client() as client:
        outcome = play(client, ["send", call_word(), small(bytes(10 * MIB))], ["wait", "never"], seconds=20)
    assert (outcome["outcome"], outcome["code"]) == ("failed", "ended"), outcome
    settled(kernel)


def test_replies_that_nobody_reads_cost_no_more_than_what_is_kept_for_a_peer(kernel: Kernel) -> None:
    before, counts = memory(kernel), [0, len(entries(kernel.home, "end"))]

    def no_more_ended() -> bool:
        threading.Event().wait(0.3)
        counts.append(len(entries(kernel.home, "end")))
        return counts[1] + 20 < counts[-2] == counts[-1]

    with Raw(kernel.home, operators(kernel.home)) as raw:
        raw.hello()
        for number in range(1, 601, 2):
            raw.call(number, "echo.say", {"text": "x" * REPLY}, deadline=60_000)
        until(no_more_ended, "many have ended, and then no more")
        settled(kernel)
        assert memory(kernel) - before < KEPT_FOR_ONE
    with kernel.client() as client:
        assert latencies(client, 3)


_HALF: Final = """
import signal, sys, zmq
from pathlib import Path
from tests.system.attacks import MIB, Raw, operators

home = Path(sys.argv[1])
with Raw(home, operators(home)) as raw:
    raw.hello()
    frame = zmq.Frame(bytes(MIB), copy=False)
    for _ in range(4_000):
        raw.socket.send(frame, zmq.SNDMORE, copy=False)
    raw.socket.send(b"", 0)
    signal.pause()
"""
"""Says one message of thousands of frames, which share one piece of memory, as the operator, whom nobody ends."""


@pytest.mark.wide
@pytest.mark.alone
def test_who_ends_while_another_fills_the_kernel_is_not_accused(kernel: Kernel) -> None:
    before, known = memory(kernel), len(entries(kernel.home, "run.end"))
    half = subprocess.Popen([sys.executable, "-c", _HALF, str(kernel.home)])
    try:
        until(lambda: memory(kernel) > before + GROWN + 64 * MIB, "the kernel is being filled", closely=True)
        half.send_signal(signal.SIGSTOP)
        with kernel.client() as client:
            assert [play(client)["outcome"] for _ in range(20)] == ["done"] * 20
        ends = until(lambda: entries(kernel.home, "run.end")[known + 19 :] and entries(kernel.home, "run.end"), "ends")
        assert [(one.verdict, one.why) for one in ends[known:] if one.verdict != "ended"] == []
        assert memory(kernel) > before + GROWN
    finally:
        half.kill()
        half.wait()
