"""Whatever way a provider writes its stream, and however its bytes are cut, the pieces and the Answer are the same."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.models.drivers.answers import parse_call
from runtime.models.messages import Answer, AnyPiece, Text, TextPiece, ToolCall, pack
from tests.runtime.models.plays import (
    GOOD,
    MODELS,
    Good,
    asking,
    begun,
    block,
    checked,
    collect_answer,
    ended,
    made,
    texts,
)
from tests.runtime.models.stage import Play, chunked, head, named, stage
from tests.spread import spread


def _named(good: Good) -> str:
    return f"{good.driver}: {good.name}"


async def _played(good: Good, play: Play) -> tuple[list[AnyPiece], Answer]:
    async with stage(play) as server:
        asked = made(good.driver, server.url)
        try:
            return await checked(asked, good.driver)
        finally:
            await asked.close()


@pytest.mark.parametrize("written", ["[1]", '"a"', "7", "null"])
def test_arguments_that_are_json_and_no_object_are_malformed(written: str) -> None:
    assert parse_call("a", "read", written) == ToolCall(id="a", name="read", malformed=written)


@pytest.mark.parametrize("good", GOOD, ids=_named)
def test_a_stream_becomes_its_pieces_and_its_answer(good: Good) -> None:
    pieces, answer = asyncio.run(_played(good, [head(), good.body]))
    assert answer.parts == good.parts
    assert answer.stop is good.stop
    assert answer.usage == good.usage
    assert all(len(pack([piece])) for piece in pieces)


@pytest.mark.parametrize("good", spread(GOOD, 8), ids=_named)
def test_a_stream_that_comes_byte_by_byte_is_the_same(good: Good) -> None:
    whole, answer = asyncio.run(_played(good, [head(), good.body]))
    pieces, again = asyncio.run(_played(good, [head(), *(good.body[at : at + 1] for at in range(len(good.body)))]))
    assert (pieces, again) == (whole, answer)


@settings(max_examples=25)
@given(st.sampled_from(GOOD), st.lists(st.floats(0, 1), max_size=12), st.booleans())
@example(GOOD[1], [0.5], True)
def test_however_the_bytes_are_cut_pieces_and_answer_are_the_same(
    good: Good, cuts: list[float], is_chunked: bool
) -> None:
    size = len(good.body)
    places = sorted({0, size, *(round(cut * size) for cut in cuts)})
    parts = [good.body[first:second] for first, second in pairwise(places)]
    if is_chunked:
        opening = head(Transfer_Encoding="chunked")
        play: Play = [opening, *(chunked(part) for part in parts), b"0\r\n\r\n"]
    else:
        play = [head(), *parts]
    pieces, answer = asyncio.run(_played(good, play))
    assert answer.parts == good.parts
    assert (answer.stop, answer.usage) == (good.stop, good.usage)
    assert pieces == asyncio.run(_played(good, [head(), good.body]))[0]


@pytest.mark.parametrize("good", GOOD, ids=_named)
def test_collecting_a_stream_gives_its_answer(good: Good) -> None:
    async def collected() -> Answer:
        async with stage([head(), good.body]) as server:
            asked = made(good.driver, server.url)
            answer = await collect_answer(asked.stream(MODELS[good.driver], asking()))
            await asked.close()
            return answer

    assert asyncio.run(collected()).parts == good.parts


def test_text_is_shown_as_it_comes_and_not_at_the_end() -> None:
    async def seen() -> list[str]:
        first = named(begun(), *block(0, "text", *texts("one"), text="")[:2])
        rest = named(*block(0, "text", *texts("two"), text="")[1:], *ended())
        async with stage([head(), first, "hold"]) as server:
            asked = made("anthropic", server.url, silence=0.5)
            found = []
            with pytest.raises(Exception, match="silent"):
                async for piece in asked.stream(MODELS["anthropic"], asking()):
                    assert isinstance(piece, TextPiece)
                    found.append(piece.text)
            server.plays = [[head(), first, 0.05, rest]]
            answer = await collect_answer(asked.stream(MODELS["anthropic"], asking()))
            await asked.close()
            return [*found, answer.text]

    assert asyncio.run(seen()) == ["one", "onetwo"]


def test_no_usage_is_counted_instead_and_said_to_be() -> None:
    good = next(one for one in GOOD if one.driver == "openai" and one.name == "text")
    body = good.body.split(b"\n\n")
    without = b"\n\n".join(line for line in body if b"total_tokens" not in line)
    _, answer = asyncio.run(_played(good, [head(), without]))
    assert answer.parts == good.parts
    assert answer.usage.estimated
    assert answer.usage.input > 0 < answer.usage.output


def test_a_reason_to_stop_that_nobody_knows_is_told() -> None:
    good = next(one for one in GOOD if "not known" in one.name)
    _, answer = asyncio.run(_played(good, [head(), good.body]))
    assert answer.parts == (Text(text="a"),)
    assert "newly" in answer.notes[0]
