"""What no SDK bounds is bounded below it: an event without an end, lines without an empty one among them, countless tools."""

import asyncio
import re
import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.models.drivers import bounding, openai_in
from runtime.models.drivers.bounding import EventBounds
from runtime.models.failures import ModelFailed
from tests.runtime.models.plays import MODELS, asking, begun, block, calls, chunk, made, texts, written
from tests.runtime.models.stage import Play, head, named, stage, unnamed

_COMMENTS: Final = b": still here\n" * 8_000
_WORD: Final = b"data: " + b"a" * 60_000 + b"\n"
_ENDLESS: Final[list[tuple[str, Play]]] = [
    ("comments", [named(begun()), *[_COMMENTS] * 600]),
    ("lines of one event", [*[_WORD] * 600]),
]


def _failure(name: str, play: Play) -> ModelFailed:
    """How a driver gives up a stream of such bytes."""

    async def failed() -> ModelFailed:
        async with stage(play) as server:
            asked = made(name, server.url)
            with pytest.raises(ModelFailed) as caught:
                async for _ in asked.stream(MODELS[name], asking()):
                    pass
            await asked.close()
            return caught.value

    return asyncio.run(failed())


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("name", ["anthropic", "openai"])
@pytest.mark.parametrize(("what", "play"), _ENDLESS, ids=[what for what, _ in _ENDLESS])
def test_an_event_that_grows_without_end_is_given_up_before_it_is_gathered(
    kind: str, name: str, what: str, play: Play
) -> None:
    """Whatever the provider calls it."""
    asyncio.run(made(name, "http://127.0.0.1:1").close())  # the SDK's import is not the provider's time
    began = time.process_time()
    assert (failure := _failure(name, [head(kind=kind), *play])).code == "endless"
    assert "for one event" in failure.text
    assert time.process_time() - began < 3.0


def test_an_answer_that_is_no_stream_is_given_up_before_it_fills_the_memory() -> None:
    async def failed() -> ModelFailed:
        play = [head(kind="application/json"), b'{"data": [{"embedding": [', *[b"0," * 2**19] * 9]
        async with stage(play) as server:
            asked = made("openai", server.url)
            with pytest.raises(ModelFailed) as caught:
                await asked.embed("e", ["a"])
            await asked.close()
            return caught.value

    assert asyncio.run(failed()).code == "endless"


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_of_an_error_its_beginning_is_read_and_tells_what_it_is(name: str) -> None:
    """Megabytes of it took seconds to be read, from everybody who asks models."""
    asyncio.run(made(name, "http://127.0.0.1:1").close())  # the SDK's import is not the provider's time
    play = [
        head(400, kind="application/json"),
        b'{"message": "The prompt is too long.", "x": [',
        *[b"[]," * 2**18] * 10,
    ]
    began = time.process_time()
    failure = _failure(name, play)
    assert (failure.code, "The prompt is too long." in failure.text) == ("too_long", True)
    assert time.process_time() - began < 1.0


def test_an_answer_that_asks_for_countless_tools_is_given_up() -> None:
    many = openai_in.CALLS_MOST + 1
    deltas = [calls({"index": number, "id": f"c{number}", "function": {"name": "now"}}) for number in range(many)]

    failure = _failure("openai", [head(), unnamed(*deltas, chunk(finish="tool_calls"), "[DONE]")])
    assert failure.code == "endless"
    assert "more than 1,000 tool calls" in failure.text


def test_an_answer_of_countless_parts_is_given_up() -> None:
    turns = [chunk({"content": "a"}), chunk({"reasoning": "b"})] * (openai_in.PARTS_MOST // 2 + 1)
    failure = _failure("openai", [head(), unnamed(*turns, chunk(finish="stop"), "[DONE]")])
    assert failure.code == "endless"
    assert "more than 4,000 parts" in failure.text


def test_a_call_that_is_named_with_each_piece_is_read_so_many_times_only() -> None:
    """Each time all of its arguments are read, while others who ask models wait."""
    reader = openai_in.OpenAIReader("openai", "gpt-5", asking())
    pieces = ['{"a": "', *["}"] * openai_in.CHECKS_MOST, '"}', "{}"]
    for piece in pieces:
        reader.take(calls({"index": 0, "function": {"name": "now", "arguments": piece}}))
    reader.take(chunk(finish="tool_calls"))
    assert [call.malformed for call in reader.answer().calls] == ["".join(pieces)]


_LONG: Final = "word " * 2_000
_UNENDING: Final[list[tuple[str, str, list[bytes]]]] = [
    ("text", "anthropic", [named(block(0, "text", *texts(_LONG), text="")[1])]),
    ("seal", "anthropic", [named(block(0, "text", {"type": "signature_delta", "signature": _LONG})[1])]),
    ("arguments", "anthropic", [named(block(0, "tool_use", *written(_LONG))[1])]),
    ("text", "openai", [unnamed(chunk({"content": _LONG}))]),
    ("thinking", "openai", [unnamed(chunk({"reasoning": _LONG}))]),
    ("arguments", "openai", [unnamed(calls({"index": 0, "function": {"name": "now", "arguments": f'"{_LONG}'}}))]),
]
_KINDS: Final = {"text": "text", "seal": "thinking", "arguments": "tool_use"}


@pytest.mark.parametrize(("what", "name", "deltas"), _UNENDING, ids=[f"{name} {what}" for what, name, _ in _UNENDING])
def test_an_answer_longer_than_a_reply_holds_is_given_up_before_it_is_gathered(
    what: str, name: str, deltas: list[bytes]
) -> None:
    """Each piece of an answer costs as much time as there is of the answer: others who ask models wait meanwhile."""
    start = [named(begun(), block(0, _KINDS[what], id="a", name="now")[0])] if name == "anthropic" else []
    failure = _failure(name, [head(), *start, *(deltas * (2 * bounding.ANSWER // len(_LONG)))])
    assert failure.code == "endless"
    assert "for one answer" in failure.text


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"ab", b"c"]), max_size=30), st.data())
def test_however_a_stream_is_cut_what_is_too_much_is_told_and_nothing_else(
    parts: list[bytes], data: st.DataObject
) -> None:
    text = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bounding, "EVENT", 9)
        patched.setattr(bounding, "LINES", 3)
        event = EventBounds()
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        told = [event.add(piece) for piece in pieces] != [""] * len(pieces)
    events = [(len(one), len(re.findall(rb"\n|\r\n?", one))) for one in re.split(rb"\n\n|\r\n\r\n|\r\r", text)]
    assert told or not any(size > 9 or lines > 3 for size, lines in events)
    assert not told or any(size + 3 > 9 or lines + 2 > 3 for size, lines in events)  # with what may become its end


def test_an_event_may_be_as_large_as_is_said_and_no_larger() -> None:
    line = b"x" * (bounding.EVENT - 1) + b"\n"
    assert EventBounds().add(line) == ""
    assert "MiB for one event" in EventBounds().add(b"x" + line)
    assert EventBounds().add(b"x\n" * bounding.LINES) == ""
    assert "lines for one event" in EventBounds().add(b"x\n" * (bounding.LINES + 1))
