"""What a bridge holds for one who is slow: so much, in order, and for how long others wait for him."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Final

import pytest

from runtime import bridged
from runtime.bridge import Bridge
from runtime.bridged import Held, Standstill, room
from wire.limits import KIB, MIB

MOST: Final = 10_000


def _hold(work: Callable[[Held[str], Standstill], Awaitable[None]]) -> None:
    async def held() -> None:
        standstill = Standstill()
        await work(Held(MOST, standstill), standstill)

    asyncio.run(held())


@pytest.mark.parametrize(
    ("memory", "in_flight", "most"),
    [(256 * MIB, 16, MIB), (256 * MIB, 1, MIB), (48 * MIB, 16, 192 * KIB), (256 * MIB, 1024, 16 * KIB)],
)
def test_what_is_held_for_all_calls_is_a_small_share_of_the_memory(memory: int, in_flight: int, most: int) -> None:
    assert room(memory, in_flight) == most


def test_what_is_said_comes_in_order_and_a_line_longer_than_the_room_comes_too() -> None:
    async def work(held: Held[str], _: Standstill) -> None:
        assert await held.hold("long", MOST * 3, _nobody)
        assert held.is_behind
        waits = asyncio.create_task(held.hold("next", 1, _nobody))
        await asyncio.sleep(0)
        assert await held.next() == "long"
        await asyncio.sleep(0)
        assert not waits.done()  # he has it, and has not dealt with it
        taking = asyncio.create_task(held.next())
        assert await waits
        assert await taking == "next"

    _hold(work)


def test_nobody_waits_for_room_at_one_who_is_gone() -> None:
    async def work(held: Held[str], _: Standstill) -> None:
        await held.hold("all", MOST, _nobody)
        waits = asyncio.create_task(held.hold("more", MOST, _nobody))
        await asyncio.sleep(0)
        held.close()
        assert await waits
        assert not held.is_behind

    _hold(work)


@pytest.mark.usefixtures("hasty")
def test_one_who_took_nothing_while_others_waited_for_another_is_not_waited_for_again() -> None:
    async def work(held: Held[str], standstill: Standstill) -> None:
        other: Held[str] = Held(MOST, standstill)
        late: Held[str] = Held(MOST, standstill)
        for one in (held, other):
            await one.hold("all", MOST, _somebody)
        assert not await held.hold("more", MOST, _somebody)
        begun = standstill.seconds
        assert begun >= bridged.PATIENCE
        assert not await other.hold("more", MOST, _somebody)
        assert standstill.seconds == begun
        await late.hold("all", MOST, _somebody)  # he has had something to take for no moment of it
        assert not await late.hold("more", MOST, _somebody)
        assert standstill.seconds >= begun + bridged.PATIENCE

    _hold(work)


@pytest.mark.usefixtures("hasty")
def test_who_takes_something_is_waited_for_anew_and_who_is_alone_without_end() -> None:
    async def work(held: Held[str], standstill: Standstill) -> None:
        await held.hold("all", MOST, _somebody)
        waits = asyncio.create_task(held.hold("more", MOST, _nobody))
        await asyncio.sleep(bridged.PATIENCE * 3)
        assert not waits.done()
        assert not standstill.seconds
        waits.cancel()
        waits = asyncio.create_task(held.hold("more", MOST, _somebody))
        while standstill.seconds <= 2 * bridged.PATIENCE:
            seen = standstill.seconds
            while standstill.seconds <= seen + bridged.PATIENCE / 2:
                await asyncio.sleep(bridged.PATIENCE / 20)
                assert not waits.done()
            held.note_taken()
        waits.cancel()

    _hold(work)


@pytest.mark.usefixtures("hasty")
def test_the_time_for_which_this_very_process_stands_still_is_nobodys_fault() -> None:
    async def work(held: Held[str], standstill: Standstill) -> None:
        await held.hold("all", MOST, _somebody)
        waits = asyncio.create_task(held.hold("more", MOST, _somebody))
        await asyncio.sleep(0)
        time.sleep(bridged.PATIENCE * 2)  # noqa: ASYNC251  as in a pause
        await asyncio.sleep(bridged.PATIENCE / 4)
        assert not waits.done()
        waits.cancel()

    _hold(work)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridged, "PATIENCE", 0.4)  # the real ones take a minute
    monkeypatch.setattr(bridged, "_LOOK", 0.02)


def _somebody() -> bool:
    return True


def _nobody() -> bool:
    return False


def test_a_caller_is_waited_for_by_a_service_whose_program_has_exited_and_a_standstill_of_the_bridge_counts_nothing() -> (
    None
):
    """As while its Hand is paused: the caller could take nothing in that time."""

    async def work() -> bool:
        loop, bridge, never = asyncio.get_running_loop(), Bridge.__new__(Bridge), asyncio.Event()
        clock, stood, taking = loop.time, [0.0], asyncio.create_task(never.wait())
        loop.time = lambda: clock() + stood[0]  # type: ignore[method-assign]  # no test waits that long
        slow = SimpleNamespace(held=SimpleNamespace(is_behind=True, taken=0), task=taking)
        bridge.__dict__.update(_answered={1: slow}, _place=SimpleNamespace(state=True))
        reading = asyncio.ensure_future(asyncio.sleep(0))
        waiting = asyncio.create_task(bridge._drain(reading, has_failed=False))
        await asyncio.sleep(0.2)
        stood[0] += 2 * bridged.PATIENCE
        await asyncio.sleep(0.2)
        was_over = waiting.done()
        never.set()
        slow.held.is_behind = False
        await waiting
        return was_over

    assert asyncio.run(work()) is False
