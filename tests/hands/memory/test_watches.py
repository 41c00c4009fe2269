"""Who watches a memory hears of each change, and keeps nobody else out."""

import asyncio
import json

import pytest

from runtime import Failure
from tests.hands.doubles import FakeCall, hand_module
from tests.hands.memory.conftest import CHAT, OWN, Desk


def test_who_watches_hears_also_what_was_written_for_a_caller_who_has_gone(desk: Desk) -> None:
    async def work() -> list[str]:
        begun, ended = asyncio.Event(), asyncio.Event()

        def hear(line: bytes) -> None:
            begun.set()
            if b'"last"' in line:
                ended.set()

        watching = FakeCall(OWN, "memory.watch", on_chunk=hear)
        watch = asyncio.ensure_future(desk.hand.on_call(watching, {}))
        await begun.wait()
        for number in range(40):
            made = FakeCall(OWN, "memory.set")
            writing = asyncio.ensure_future(desk.hand.on_call(made, {"key": f"k{number:02}", "value": 1}))
            for _ in range(2 + number % 3):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait([writing])
        await desk.hand.on_call(FakeCall(OWN, "memory.set"), {"key": "last", "value": 1})
        async with asyncio.timeout(20):
            await ended.wait()
        watch.cancel()
        await asyncio.wait([watch])
        return [json.loads(line)["key"] for line in watching.body.splitlines()[1:]]

    told = desk.loop.run_until_complete(work())
    assert told == [one["key"] for one in desk.call("list")["keys"]]
    assert len(told) > 20


def test_watches_leave_places_for_calls_that_end(desk: Desk) -> None:
    """Each holds a place of the Hand's for days: sixteen Hands that watched took all, and nobody could store anything."""
    most, of_one = hand_module("memory", "memory_keys").WATCHES_MOST
    owners = [OWN] * of_one + ["shared/team"] * (of_one - 1) + ["shared/other"]
    assert len(owners) == most
    assert 2 * most <= desk.hand._place.manifest.limits.in_flight

    async def work() -> None:
        open_ = [asyncio.ensure_future(desk.hand.on_call(FakeCall(one, "memory.watch"), {})) for one in owners[:-1]]
        await asyncio.sleep(0)
        for one in (OWN, CHAT):
            with pytest.raises(Failure, match="at most 16 watches are open at once, 8 of one memory"):
                await desk.hand.on_call(FakeCall(one, "memory.watch"), {})
        open_.append(asyncio.ensure_future(desk.hand.on_call(FakeCall(owners[-1], "memory.watch"), {})))
        await asyncio.sleep(0)
        with pytest.raises(Failure, match="at most 16 watches"):
            await desk.hand.on_call(FakeCall("shared/third", "memory.watch"), {})
        await desk.hand.on_call(FakeCall(OWN, "memory.set"), {"key": "goes on", "value": 1})
        for one in open_:
            assert not one.done()
            one.cancel()
        await asyncio.wait(open_)
        again = asyncio.ensure_future(desk.hand.on_call(FakeCall(OWN, "memory.watch"), {}))
        await asyncio.sleep(0)
        assert not again.done()
        again.cancel()
        await asyncio.wait([again])

    desk.loop.run_until_complete(work())
