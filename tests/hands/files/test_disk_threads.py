"""Disk work is done in as many threads as can be had, one is enough, and none of it outlives its call."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.hands.doubles import hand_module

disk_threads = hand_module("files", "disk_threads")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The threads that can be had: another one for each None in it, until they are begun.

    A mock, since what the system counts are the threads of a user, and this process has others, and may be root's.
    """
    room: list[object] = []
    really = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if None not in room:
            raise RuntimeError("can't start new thread")
        room[room.index(None)] = self
        really(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    return room


async def _work(threads: Any, count: int, beside: int = 1) -> set[str]:
    """So many pieces of work at once, each with others beside it; the names of the threads that did them."""
    together = threading.Barrier(beside)

    def work() -> str:
        together.wait(30)
        return threading.current_thread().name

    return set(await asyncio.gather(*(threads.do(work) for _ in range(count))))


@pytest.mark.parametrize(("room", "used"), [(1, 1), (2, 2), (4, 4), (9, 4)])
def test_all_is_done_by_as_many_threads_as_there_is_room_for(begun: list[object], room: int, used: int) -> None:
    begun += [None] * room
    threads = disk_threads.DiskThreads()
    assert len(asyncio.run(_work(threads, 12, used))) == used
    threads.close()
    assert not any(one.is_alive() for one in begun if isinstance(one, threading.Thread))


def test_where_there_is_no_thread_at_all_it_is_waited_for_one(begun: list[object]) -> None:
    threads = disk_threads.DiskThreads()

    async def later() -> None:
        await asyncio.sleep(0.1)
        begun.append(None)

    async def both() -> set[str]:
        return (await asyncio.gather(_work(threads, 6), later()))[0]

    assert len(asyncio.run(both())) == 1
    threads.close()


def test_where_there_is_none_for_long_that_is_told_and_nothing_is_done_later(
    begun: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_threads, "THREAD_WAIT", 0.1)
    threads = disk_threads.DiskThreads()
    done: list[int] = []
    with pytest.raises(BlockingIOError, match="no thread"):
        asyncio.run(threads.do(lambda: done.append(1)))
    begun.append(None)
    asyncio.run(threads.do(lambda: done.append(2)))
    threads.close()
    assert done == [2]


def test_a_call_that_is_taken_back_ends_when_its_work_has(begun: list[object]) -> None:
    begun.append(None)
    threads = disk_threads.DiskThreads()
    ended: list[str] = []

    def work() -> None:
        time.sleep(0.2)
        ended.append("work")

    async def taken_back() -> None:
        task = asyncio.create_task(threads.do(work))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ended.append("call")

    asyncio.run(taken_back())
    assert ended == ["work", "call"]
    threads.close()


def test_what_a_work_raises_its_caller_gets(begun: list[object]) -> None:
    begun.append(None)
    threads = disk_threads.DiskThreads()
    with pytest.raises(FileNotFoundError):
        asyncio.run(threads.do(open, "/no/such/file"))
    asyncio.run(_work(threads, 2))
    threads.close()


class _Large:
    """Something whose end can be seen."""


def test_what_was_returned_is_not_kept_by_a_thread_that_waits() -> None:
    async def once(threads: Any) -> weakref.ref[_Large]:
        return weakref.ref(await threads.do(_Large))

    threads = disk_threads.DiskThreads()
    assert asyncio.run(_freed(once(threads)))
    threads.close()


def test_what_work_had_that_failed_is_not_kept_until_somebody_collects_it() -> None:
    held = list[weakref.ref[_Large]]()

    def work() -> None:
        large = _Large()
        held.append(weakref.ref(large))
        raise OSError("it is not there")

    async def once(threads: Any) -> weakref.ref[_Large]:
        with pytest.raises(OSError, match="not there"):
            await threads.do(work)
        return held[0]

    threads = disk_threads.DiskThreads()
    assert asyncio.run(_freed(once(threads)))
    threads.close()


async def _freed(work: Coroutine[Any, Any, weakref.ref[_Large]]) -> bool:
    """Whether what it points to is gone soon after, with nobody who collects."""
    gc.disable()
    try:
        seen = await work
        until = time.monotonic() + 10
        while seen() is not None and time.monotonic() < until:  # the thread is behind its result  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return seen() is None
    finally:
        gc.enable()
