"""The kernel's loop: timers are called at their moments, once, however far away these are, and a cancelled one never."""

import errno
import sys
from itertools import count

import pytest
import zmq

from kernel import loop as kernel_loop
from kernel.loop import FAULT_MOST, FAULTS_MOST, Loop, log_fault

LATER = 0.3


def _run(loop: Loop) -> None:
    context = zmq.Context()
    bus = context.socket(zmq.PAIR)
    bus.bind("inproc://nobody")
    loop.run(bus, lambda: None, lambda: None)
    bus.close(0)
    context.term()


def _stopped_after(loop: Loop, ticks: int) -> None:
    """Stop it in so many tenths of a second."""
    loop.after(0.1, lambda: _stopped_after(loop, ticks - 1) if ticks else loop.stop())


def test_a_timer_for_later_is_called_once_and_not_before_its_moment() -> None:
    loop, begun = Loop(), Loop.now()
    called: list[float] = []
    loop.after(LATER, lambda: called.append(loop.now() - begun))
    _stopped_after(loop, 20)
    _run(loop)
    assert len(called) == 1
    assert LATER <= called[0] < 3


def test_timers_are_called_in_the_order_of_their_moments_and_a_cancelled_one_never() -> None:
    loop, called = Loop(), list[str]()
    begun = loop.now()  # all moments count from it, however long it takes to name them
    cancelled = [loop.at(begun + LATER + 0.1, lambda: called.append("cancelled")) for _ in range(3_000)]
    loop.at(begun + LATER + 0.2, lambda: called.append("third"))
    loop.at(begun + LATER + 0.05, lambda: called.append("second"))
    loop.at(begun + 0.05, lambda: called.append("first"))
    for one in cancelled[:1_500]:
        one.cancel()
    for one in cancelled[1_500:]:
        loop.at(begun + 0.06, one.cancel)
    loop.at(begun + LATER + 0.5, loop.stop)
    _stopped_after(loop, 40)
    _run(loop)
    assert called == ["first", "second", "third"]


def test_of_its_own_faults_no_more_is_told_than_fits_into_its_file(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_loop, "_faults", count())  # in this process there may be others that count
    for number in range(FAULTS_MOST + 10):
        try:
            raise ValueError(f"fault {number} " + "x" * FAULT_MOST * 2 + " its end" if number else "the first")
        except ValueError:
            log_fault()
    told = capfd.readouterr().err
    assert "ValueError: the first" in told
    assert len(told) < (FAULTS_MOST + 1) * FAULT_MOST
    assert told.endswith("x its end\n")


def test_a_fault_that_cannot_be_told_on_a_full_disk_costs_no_more_than_one_that_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full:
        def write(self, _: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kernel_loop, "_faults", count())
    monkeypatch.setattr(sys, "stderr", Full())
    try:
        raise ValueError
    except ValueError:
        log_fault()
