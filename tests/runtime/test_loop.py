"""The loop of a run takes a frame only when nothing else is ready, one at a time, and goes on whatever comes of one."""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.loop import BUSY_MOMENT, BUSY_ROUNDS, IdleSelector, new_loop
from runtime.main import Life

PATIENCE = 10.0


class Bus:
    """Frames behind a pipe, which is readable by an edge: one byte wakes for all that have come."""

    def __init__(self) -> None:
        self.descriptor, self._told = os.pipe()
        os.set_blocking(self.descriptor, False)
        self.frames: deque[str] = deque()

    def bring(self, *frames: str) -> None:
        """These have come."""
        self.frames.extend(frames)
        os.write(self._told, b"!")

    def waiting(self) -> bool:
        """Whether take() gives something."""
        return bool(self.frames)

    def take(self) -> str | None:
        """The next frame."""
        try:
            os.read(self.descriptor, 64)
        except BlockingIOError:
            pass
        return self.frames.popleft() if self.frames else None


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def loops() -> Iterator[tuple[asyncio.SelectorEventLoop, IdleSelector]]:
    loop, selector = new_loop()
    yield loop, selector
    loop.close()


def test_a_frame_is_taken_when_what_came_of_the_one_before_is_done(
    bus: Bus, loops: tuple[asyncio.SelectorEventLoop, IdleSelector]
) -> None:
    loop, selector = loops
    seen: list[str] = []

    async def deal(frame: str) -> None:
        for step in range(3):
            seen.append(f"{frame}{step}")
            await asyncio.sleep(0)
        if frame == "c":
            loop.stop()

    def take() -> None:
        if (frame := bus.take()) is not None:
            loop.create_task(deal(frame))

    selector.attend(frozenset([bus.descriptor]), bus.waiting, take)
    loop.call_later(0.01, bus.bring, "a", "b")
    loop.call_later(0.02, bus.bring, "c")
    loop.call_later(PATIENCE, loop.stop)
    loop.run_forever()
    assert seen == ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"]


def test_one_that_spins_is_brought_a_frame_all_the_same(
    bus: Bus, loops: tuple[asyncio.SelectorEventLoop, IdleSelector]
) -> None:
    loop, selector = loops
    rounds = 0

    def spin() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 100 * BUSY_ROUNDS:
            loop.call_soon(spin)

    def take() -> None:
        bus.take()
        loop.stop()

    selector.attend(frozenset([bus.descriptor]), bus.waiting, take)
    bus.bring("stop")
    loop.call_soon(spin)
    loop.run_forever()
    assert rounds <= 2 * BUSY_ROUNDS


def test_one_whose_rounds_are_long_is_brought_a_frame_after_a_few_of_them(
    bus: Bus, loops: tuple[asyncio.SelectorEventLoop, IdleSelector]
) -> None:
    """A service works for several callers at once, and each round that others wait is as long as all that these do in it."""
    loop, selector = loops
    rounds = 0

    def spin() -> None:
        nonlocal rounds
        rounds += 1
        until = time.thread_time() + 2 * BUSY_MOMENT
        while time.thread_time() < until:
            pass
        if rounds < BUSY_ROUNDS:
            loop.call_soon(spin)

    def take() -> None:
        bus.take()
        loop.stop()

    selector.attend(frozenset([bus.descriptor]), bus.waiting, take)
    bus.bring("stop")
    loop.call_soon(spin)
    loop.run_forever()
    assert rounds <= 4


def test_a_fault_of_the_runtimes_own_over_one_frame_is_told_and_the_next_is_taken(
    bus: Bus, loops: tuple[asyncio.SelectorEventLoop, IdleSelector]
) -> None:
    class Faulty:  # no link does this, so there is no real one to ask
        def take(self) -> None:
            if bus.take() == "bad":
                raise KeyError("a fault")
            loop.stop()

    loop, selector = loops
    told: list[object] = []
    loop.set_exception_handler(lambda _, happened: told.append(happened["exception"]))
    life = object.__new__(Life)
    life._link, life._loop = Faulty(), loop  # type: ignore[assignment]
    selector.attend(frozenset([bus.descriptor]), bus.waiting, life.take)
    bus.bring("bad", "good")
    loop.call_later(PATIENCE, loop.stop)
    loop.run_forever()
    assert [str(error) for error in told] == ["'a fault'"]
    assert not bus.frames


def test_threads_are_as_many_as_the_run_may_have_and_none_before_one_is_wanted() -> None:
    loop, _ = new_loop(processes=5)
    before = threading.active_count()
    try:
        works = [loop.run_in_executor(None, time.sleep, 0.05) for _ in range(4)]
        assert threading.active_count() - before == 2
        loop.run_until_complete(asyncio.gather(*works))
    finally:
        loop.close()


def test_what_a_hand_sets_does_the_work_of_its_threads() -> None:
    loop, _ = new_loop()
    loop.set_default_executor(ThreadPoolExecutor(1, thread_name_prefix="own"))
    try:
        assert loop.run_until_complete(loop.run_in_executor(None, lambda: threading.current_thread().name)) == "own_0"
    finally:
        loop.close()
