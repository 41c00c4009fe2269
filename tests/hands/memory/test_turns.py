"""Nobody's long work holds up another's short one, and whoever has asked for much waits for his own."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hands.doubles import hand_module
from tests.hands.memory.test_shelf import get, put, run

memory_turns = hand_module("memory", "memory_turns")
Turns = memory_turns.Turns


def turning(
    work: Callable[[Any], Awaitable[None]], *, threads: int = 4, long_most: int = 2, owner_most: int = 2
) -> None:
    async def whole() -> None:
        turns = Turns("turn", threads, long_most=long_most, owner_most=owner_most)
        async with asyncio.timeout(30):
            await work(turns)
        turns.shutdown()

    asyncio.run(whole())


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Open at the latest when a test fails: a thread that waits would keep the whole suite."""
    made = threading.Event()
    opening = threading.Timer(25, made.set)
    opening.start()
    yield made
    opening.cancel()
    made.set()


def burn() -> None:
    until = time.thread_time() + memory_turns.LONG_S + 0.02
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize("is_told", [True, False])
def test_what_is_long_leaves_threads_for_what_is_short(gate: threading.Event, *, is_told: bool) -> None:
    async def work(turns: Any) -> None:
        if not is_told:  # then it is known by what the owners' work took before
            await asyncio.gather(*(turns.submit(owner, burn) for owner in ("a", "b", "c")))
        held = [turns.submit(owner, gate.wait, is_long=is_told) for owner in ("a", "b", "c") for _ in range(5)]
        assert await turns.submit("d", lambda: "short") == "short"
        assert not any(one.done() for one in held)
        gate.set()
        await asyncio.gather(*held)

    turning(work)


def test_who_asked_for_much_lately_waits_no_longer_than_that_is_remembered(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_turns, "REMEMBERED_S", 0.3)

    async def work(turns: Any) -> None:
        await turns.submit("c", burn)
        held = [turns.submit(owner, gate.wait, is_long=True) for owner in ("a", "b")]
        try:
            async with asyncio.timeout(10):  # nothing else begins or ends meanwhile
                assert await turns.submit("c", lambda: "short") == "short"
        finally:
            gate.set()
        await asyncio.gather(*held)

    turning(work)


def test_one_owner_does_not_have_all_threads_and_owners_take_turns(gate: threading.Event) -> None:
    async def work(turns: Any) -> None:
        begun = list[str]()
        held = [turns.submit("a", gate.wait) for _ in range(5)]
        assert await turns.submit("b", lambda: "short") == "short"
        gate.set()
        await asyncio.gather(*held)
        gate.clear()
        first = turns.submit("a", gate.wait), turns.submit("b", gate.wait), turns.submit("c", gate.wait)
        many = [turns.submit("a", lambda: begun.append("a")) for _ in range(9)]
        one = turns.submit("d", lambda: begun.append("d"))
        gate.set()
        await asyncio.gather(*first, *many, one)
        assert begun.index("d") <= 1

    turning(work, threads=3)


def test_what_is_short_goes_before_what_is_long_of_the_same_owner(gate: threading.Event) -> None:
    async def work(turns: Any) -> None:
        held = [turns.submit("a", gate.wait, is_long=True) for _ in range(3)]
        assert await turns.submit("a", lambda: "short") == "short"
        gate.set()
        await asyncio.gather(*held)

    turning(work, long_most=1)


def test_what_nobody_waits_for_any_more_is_not_begun_and_one_that_fails_frees_its_thread(
    gate: threading.Event,
) -> None:
    async def work(turns: Any) -> None:
        begun = list[int]()
        held = turns.submit("a", gate.wait)
        waiting = [turns.submit("a", lambda number=number: begun.append(number)) for number in range(3)]
        turns.give_up(waiting[1])
        turns.give_up(held)  # which has begun
        gate.set()
        await asyncio.gather(held, waiting[0], waiting[2])
        assert waiting[1].cancelled()
        assert begun == [0, 2]
        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                await turns.submit("a", lambda: 1 // 0)

    turning(work, threads=1, long_most=1, owner_most=1)


def test_long_writes_and_reads_of_some_hold_up_no_others(tmp_path: Path, gate: threading.Event) -> None:
    async def work(shelf: Any) -> None:
        owners = [f"shared/s{number}" for number in range(5)]
        for owner in (*owners, "shared/other"):
            await shelf.write(owner, put("key"))
        long = [shelf.write(owner, lambda _: gate.wait(), is_long=True) for owner in owners for _ in range(3)]
        long += [shelf.read(owner, lambda _: gate.wait(), is_long=True) for owner in owners for _ in range(3)]
        held = [asyncio.ensure_future(one) for one in long]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert await shelf.write("shared/other", put("key")) == (2,)
            assert await shelf.read("shared/other", get("key")) == b"\xc0"
        assert not any(one.done() for one in held)
        gate.set()
        await asyncio.gather(*held)

    run(tmp_path, work)


def test_writes_that_are_made_together_end_when_they_have_taken_a_while(tmp_path: Path) -> None:
    async def work(shelf: Any) -> None:
        owners = [f"shared/s{number}" for number in range(5)]  # one more than write at once
        order = list[str]()

        def slowly(owner: str) -> Callable[[object], None]:
            def write(_: object) -> None:
                order.append(owner)
                time.sleep(0.06)

            return write

        await asyncio.gather(*(shelf.write(owner, slowly(owner)) for owner in owners for _ in range(8)))
        assert [order.count(owner) for owner in owners] == [8] * 5
        second = order.index(owners[-1], order.index(owners[-1]) + 1)
        assert second < 24, "the last one waited for all that the others had asked for"

    run(tmp_path, work)


def test_writes_that_wait_for_a_further_turn_are_made_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    async def work(shelf: Any) -> None:
        made = list[int]()

        def slowly(number: int) -> Callable[[object], None]:
            def write(_: object) -> None:
                made.append(number)
                time.sleep(0.06)

            return write

        await asyncio.gather(*(shelf.write("shared/a", slowly(number)) for number in range(9)))
        assert made == list(range(9))

    run(tmp_path, work)


def test_what_nobody_reads_any_more_is_not_read_and_its_file_is_free(tmp_path: Path, gate: threading.Event) -> None:
    async def work(shelf: Any) -> None:
        begun = list[int]()
        held = [asyncio.ensure_future(shelf.read("shared/a", lambda _: gate.wait())) for _ in range(2)]
        left = asyncio.ensure_future(shelf.read("shared/a", lambda _: begun.append(1)))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])
        gate.set()
        await asyncio.gather(*held)
        async with asyncio.timeout(10):
            await shelf.exclusively("shared/a", lambda _: None)
        assert not begun

    run(tmp_path, work)
