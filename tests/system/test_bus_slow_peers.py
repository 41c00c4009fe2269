"""A peer that is slow, or busy, with what it asked for is never ended for that, however much comes at once.

What it does not take waits where it comes from, so that whoever takes nothing at all fills nobody's memory either. The
busy ones here hold their loop (`time.sleep`) while far more comes for them than is kept on its way to one peer.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from kernel.runs import UNSENT_MOST
from tests.living import ECHO, Kernel, install, make_home
from tests.system.attacks import MIB, PROMPT, memory, settled, storm
from tests.system.busy import BUSY, BUSY_SERVICE, BUSY_SINK, FLOODER, PLENTY, UPLOADERS
from tests.system.fates import begin, call, ended, entries, entry, outcome, ran, runs, until
from tests.system.sparing import SPARED
from wire.codec import Value
from wire.entries import Entry

HELD = 4.0
"""Seconds for which a busy Hand's loop does nothing: all that it asked for has come to the kernel by then."""


MANY = 240
"""Results of a megabyte, more than a sparing kernel may grow by: libzmq's messages to a peer, what is kept for it, slack."""


def kept(most: int) -> int:
    """What a kernel may grow by for a run that takes nothing, in bytes, if it keeps so many for it."""
    return 64 * 1_000_000 + most + 64 * MIB


def besieged(folder: Path, module: str) -> Iterator[Kernel]:
    with Kernel(make_home(folder / "home"), module) as kernel:
        for hand in (PLENTY, BUSY, BUSY_SERVICE, BUSY_SINK, FLOODER, *UPLOADERS.values(), ECHO):
            install(kernel, hand)
        with kernel.client() as client:
            for name in ("plenty", "busy-sink", "busy-service", "echo"):
                client.call("kernel.start", name)
        yield kernel
        settled(kernel)
        assert "Traceback" not in kernel.log(), kernel.log()


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    yield from besieged(tmp_path, "kernel.main")


@pytest.fixture
def sparing(tmp_path: Path) -> Iterator[Kernel]:
    """One that keeps less for each peer, and whose disk takes its time from when there is a file run/slow."""
    yield from besieged(tmp_path, "tests.system.sparing")


def whole(pieces: int, size: int) -> list[str]:
    """What is told of any number of streams that came whole."""
    return [sha256(b"".join(bytes([n]) * size for n in range(pieces))).hexdigest()]


def stopped(kernel: Kernel, hand: str, while_: Callable[[], object]) -> None:
    """Let a Hand's process stand still, as on a machine that has no time for it, as long as something takes."""
    (row,) = runs(kernel, hand)
    pid = int(str(row["pid"]))
    os.kill(pid, signal.SIGSTOP)
    while_()
    with suppress(ProcessLookupError):  # it was ended for that
        os.kill(pid, signal.SIGCONT)


def opened(kernel: Kernel) -> None:
    """Wait until plenty is about to give what it was asked for."""
    entry(kernel.home, "end", call=entry(kernel.home, "call", method="plenty.open").call)


def ends(kernel: Kernel, count: int, method: str) -> None:
    """Wait until so many calls of a method have their end."""
    made = {one.call for one in until(lambda: of(kernel, method)[count - 1 :] and of(kernel, method), "calls")}
    until(lambda: len(made & {one.call for one in entries(kernel.home, "end")}) >= count, "their ends")


def of(kernel: Kernel, method: str) -> list[Entry]:
    """The entries of the calls of a method."""
    return [one for one in entries(kernel.home, "call") if one.method == method]


def a_while() -> None:
    """Let all come to the kernel that is on its way."""
    threading.Event().wait(HELD)


def peak(kernel: Kernel) -> int:
    """The most memory that the kernel's process ever held, in bytes."""
    return int(Path(f"/proc/{kernel.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.wide
def test_a_busy_run_gets_all_of_two_hundred_results_at_once(kernel: Kernel) -> None:
    """Its loop is held while they come. They come to the kernel one after the other, and to the run as the disk has them."""
    with kernel.client() as client:
        found = ran(client, "busy", what="results", count=200, held=HELD)
    assert (found["outcome"], found["value"]) == ("done", 200_000_000), found


@pytest.mark.wide
def test_a_run_that_stands_still_gets_all_of_two_hundred_results_at_once(kernel: Kernel) -> None:
    before = memory(kernel)
    with kernel.client() as client:
        run = begin(client, "busy", what="results", count=200)
        opened(kernel)
        stopped(kernel, "busy", lambda: ends(kernel, 200, "plenty.give"))
        found = outcome(client, run)
    assert (found["outcome"], found["value"]) == ("done", 200_000_000), found
    assert peak(kernel) - before < kept(UNSENT_MOST[1]), f"{(peak(kernel) - before) / MIB:.0f} MiB"


@pytest.mark.wide
def test_a_run_that_stands_still_gets_all_of_many_streams_at_once(kernel: Kernel) -> None:
    with kernel.client() as client:
        run = begin(client, "busy", what="streams", count=48, more=16)
        opened(kernel)
        stopped(kernel, "busy", a_while)
        found = outcome(client, run)
    assert (found["outcome"], found["value"]) == ("done", whole(16, 262_144)), found


@pytest.mark.wide
def test_a_service_that_stands_still_gets_all_of_many_streams_at_once(kernel: Kernel) -> None:
    found: list[Value] = []
    asked = {"what": "streams", "count": 48, "held": 0.0, "more": 16}
    asking = threading.Thread(target=lambda: found.append(call(kernel, "busy-service.ask", "", asked, seconds=60)))
    asking.start()
    opened(kernel)
    stopped(kernel, "busy-service", a_while)
    asking.join()
    assert found == [whole(16, 262_144)]


@pytest.mark.wide
def test_a_service_that_stands_still_gets_all_that_several_hands_upload_at_once(kernel: Kernel) -> None:
    """More than is kept for a peer in all: it waits with the calls that it is of, at the expense of who sends it."""
    with kernel.client() as client:
        uploading = [begin(client, hand, count=16, pieces=9) for hand in UPLOADERS]
        ends(kernel, len(uploading), "plenty.open")
        stopped(kernel, "busy-sink", lambda: threading.Event().wait(HELD + 1))
        found = [outcome(client, run) for run in uploading]
    assert [(one["outcome"], one["value"]) for one in found] == [("done", whole(9, 1_000_000))] * 3, found


@pytest.mark.wide
def test_a_run_that_goes_on_gets_all_again_while_it_stands_still(kernel: Kernel) -> None:
    with kernel.client() as client:
        run = begin(client, "busy", what="twice", count=200, held=2)
        entry(kernel.home, "note", why="all has come")
        (row,) = runs(kernel, "busy")
        os.kill(int(str(row["pid"])), signal.SIGKILL)
        until(lambda: any(one["pid"] not in (0, row["pid"]) for one in runs(kernel, "busy")), "its next process")
        a_while()
        client.call("plenty.release")
        found = outcome(client, run)
    assert (found["outcome"], found["value"]) == ("done", 200_000_000), found


def test_results_for_a_run_that_takes_none_do_not_fill_the_kernel(sparing: Kernel) -> None:
    """On a slow disk, too, where they come sooner than they are kept."""

    def attack() -> Value:
        with sparing.client() as client:
            run = begin(client, "busy", what="results", count=MANY, more=MANY // 2)
            opened(sparing)
            (sparing.home / "run" / "slow").touch()
            stopped(sparing, "busy", lambda: until(lambda: unreached(sparing) or all_ended(sparing), "it is over", 120))
            ended(client, "kernel.stop", run)
            return dict(outcome(client, run))

    harmless(sparing, attack)


@pytest.mark.wide
def test_results_for_a_service_that_takes_none_do_not_fill_the_kernel(sparing: Kernel) -> None:
    asked = {"what": "results", "count": MANY, "held": 0.0, "more": MANY // 2}

    def attack() -> Value:
        with sparing.client() as client:
            asking = threading.Thread(target=lambda: ended(client, "busy-service.ask", "", asked, seconds=60))
            asking.start()
            opened(sparing)
            stopped(sparing, "busy-service", lambda: until(lambda: unreached(sparing), "it is ended"))
            asking.join()
        return None

    harmless(sparing, attack)


@pytest.mark.wide
def test_a_run_that_asks_for_ever_more_while_it_is_told_again_does_not_fill_the_kernel(kernel: Kernel) -> None:
    before = peak(kernel)
    with kernel.client() as client:
        client.call("plenty.open", "", {"count": 0})
        run = begin(client, "flooder")
        entry(kernel.home, "note", why="all has come")
        threading.Event().wait(6)  # by which the next process sees that it is not the first
        (row,) = runs(kernel, "flooder")
        os.kill(int(str(row["pid"])), signal.SIGKILL)
        found = outcome(client, run)
    assert (found["outcome"], found["code"]) == ("failed", "ended"), found
    assert peak(kernel) - before < kept(UNSENT_MOST[1]), f"{(peak(kernel) - before) / MIB:.0f} MiB"


def harmless(kernel: Kernel, attack: Callable[[], Value]) -> None:
    """That a sparing kernel neither grows by an attack beyond what it keeps, nor keeps a neighbour waiting."""
    _, latency, growth = storm(kernel, attack)
    assert growth < kept(SPARED[1]), f"{growth / MIB:.0f} MiB"
    assert latency < PROMPT


def unreached(kernel: Kernel) -> list[Entry]:
    """Who was ended since it does not take what it is sent."""
    return [one for one in entries(kernel.home, "refusal") if one.detail.get("code") == "unreachable"]


def all_ended(kernel: Kernel) -> bool:
    made = {one.call for one in of(kernel, "plenty.give")}
    return len(made & {one.call for one in entries(kernel.home, "end")}) >= MANY
