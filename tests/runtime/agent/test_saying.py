"""What an agent says while it thinks: in pieces, and no more of them than its run may send."""

import asyncio
from typing import Any

from runtime.agent.saying import PIECE, Saying
from runtime.models.messages import TextPiece, ThinkingPiece, pack

LINE = "a line\n"


def _said(times: list[float], apart: float, text: str = LINE) -> list[dict[str, Any]]:
    """What is published of a text that comes again and again, at these times."""
    told: list[dict[str, Any]] = []
    clock = iter(times)
    now = [0.0]

    async def publish(body: dict[str, object]) -> None:
        told.append(body)

    async def play() -> None:
        saying = Saying(publish, "r-1", 2, lambda: now[0], apart)
        for moment in clock:
            now[0] = moment
            await saying.add(pack([ThinkingPiece(text="hm"), TextPiece(text=text)]))
        await saying.flush()

    asyncio.run(play())
    return told


def test_each_line_is_told_as_it_comes_and_so_is_a_long_one() -> None:
    assert [one["text"] for one in _said([1.0, 2.0, 3.0], 0.4)] == [LINE] * 3
    assert [one["text"] for one in _said([1.0, 2.0, 3.0], 0.4, "x" * (PIECE // 2))] == ["x" * PIECE, "x" * (PIECE // 2)]


def test_a_model_that_is_quick_is_told_in_longer_pieces_and_nothing_is_missing() -> None:
    told = _said([number / 1_000 for number in range(1, 2_001)], 0.4)
    assert len(told) <= 7
    assert "".join(one["text"] for one in told) == LINE * 2_000
    assert [one["at"] for one in told] == [sum(len(one["text"]) for one in told[:at]) for at in range(len(told))]
    assert {(one["run"], one["thought"]) for one in told} == {("r-1", 2)}
