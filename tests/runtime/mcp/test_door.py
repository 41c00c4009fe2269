"""What a door keeps itself: its clients' pace, and which lists of tools they were told of."""

import asyncio

import pytest
from mcp_types import TextContent

from runtime.mcp import door
from runtime.mcp.changes import Changes
from runtime.mcp.offers import Offer, Row, offers_of
from wire.rates import Rate


async def _quiet(done: float, total: float | None, text: str | None) -> None:
    """A client that asked for no progress."""


def test_a_client_that_calls_too_often_is_told_to_wait_and_nobody_else() -> None:
    async def talk(calls: int) -> list[str]:
        one = door.Door()
        one._offers, one._looked = {"there": None}, float("inf")  # type: ignore[dict-item]  # never called
        door._PACE.set(Rate(3, asyncio.get_running_loop().time()))
        results = [await one.call_tool("none", {}, _quiet) for _ in range(calls)]
        return [block.text for result in results for block in result.content if isinstance(block, TextContent)]

    async def both() -> tuple[list[str], list[str]]:
        return await asyncio.create_task(talk(4)), await asyncio.create_task(talk(1))

    hasty, other = asyncio.run(both())
    assert [text.startswith("there is no tool 'none'") for text in (*hasty, *other)] == [True, True, True, False, True]
    assert hasty[3] == "more than 6000 calls a minute: wait"


def test_a_client_that_does_not_take_its_progress_holds_up_its_call_but_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call has gathered others wait for: they would for as long as that client reads nothing."""
    monkeypatch.setattr(door, "HEARS_WITHIN", 0.05, raising=False)
    told = list[float]()

    async def deaf(done: float, total: float | None, text: str | None) -> None:
        told.append(done)
        await asyncio.Event().wait()

    async def gathering() -> None:
        progress = door._Progress(deaf)
        for done in range(1, 10_000):
            await progress.report(done)

    asyncio.run(asyncio.wait_for(gathering(), 10))
    assert told == [1]


class _Scripted(door.Door):
    """A door whose methods are what a test says: no kernel is asked."""

    there: dict[str, Offer]

    async def _offered(self, *, fresh: float) -> dict[str, Offer]:
        return self.there


def test_a_client_that_asked_between_two_changes_that_undo_each_other_hears_that_its_list_is_stale() -> None:
    async def talk() -> None:
        one, heard = _Scripted(), asyncio.Event()
        one._told, one._may_have_changed, one._changes = [], asyncio.Event(), Changes()
        one._changes._bus.subscribe(lambda _: heard.set())
        door._PACE.set(Rate(1_000, asyncio.get_running_loop().time()))
        all_there_is = offers_of([Row(method="a.b", summary="Do it", resource="none", effect="read")], (), {})
        watching = asyncio.ensure_future(one._watch())
        for one.there in (all_there_is, {}, all_there_is):
            await one.list_tools()
        one._may_have_changed.set()
        await heard.wait()
        watching.cancel()

    asyncio.run(asyncio.wait_for(talk(), 20))
