"""A door's pace, which it keeps itself."""

import asyncio

from mcp_types import TextContent

from runtime.mcp import door
from wire.rates import Rate


async def _quiet(done: float, total: float | None, text: str | None) -> None:
    """A client that asked for no progress."""


def test_a_client_that_calls_too_often_is_told_to_wait_and_nobody_else() -> None:
    async def talk(calls: int) -> list[str]:
        one = door.Door()
        one._offers, one._looked = {"there": None}, float("inf")  # type: ignore[dict-item]  # never called
        door._PACE.set(Rate(3, asyncio.get_running_loop().time()))
        results = [await one.called("none", {}, _quiet) for _ in range(calls)]
        return [block.text for result in results for block in result.content if isinstance(block, TextContent)]

    async def both() -> tuple[list[str], list[str]]:
        return await asyncio.create_task(talk(4)), await asyncio.create_task(talk(1))

    hasty, other = asyncio.run(both())
    assert [text.startswith("there is no tool 'none'") for text in (*hasty, *other)] == [True, True, True, False, True]
    assert hasty[3] == "more than 6000 calls a minute: wait"
