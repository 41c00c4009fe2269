"""A script plays its turns in order, by content and by place, and fails as it says."""

import asyncio
import json
import time
from typing import Final

import pytest

from runtime.models.drivers import Endpoint, load_driver
from runtime.models.drivers.scripted import Scripted
from runtime.models.failures import ModelFailed
from runtime.models.messages import (
    Answer,
    AnyPiece,
    Message,
    Request,
    Stop,
    Text,
    TextPiece,
    ThinkingPiece,
    ToolPiece,
    ToolResult,
    Usage,
)  # fmt: skip
from tests.runtime.models.plays import collect_answer


def _script(*lines: str) -> Scripted:
    made = load_driver("scripted")(Endpoint(provider="scripted", options={"script": "\n".join(lines)}))
    assert isinstance(made, Scripted)
    return made


def _asked(text: str, answers: int = 0) -> Request:
    said = [Message(role="assistant", parts=(Text(text="…"),))] * answers
    return Request(messages=(*said, Message(role="user", parts=(Text(text=text),))))


def _answer(made: Scripted, request: Request) -> Answer:
    return asyncio.run(collect_answer(made.stream("script", request)))


def test_turns_are_played_in_order_each_once() -> None:
    made = _script("# a recording", '{"text": "one"}', "", '{"text": "two"}')
    assert [_answer(made, _asked("hello")).text for _ in range(2)] == ["one", "two"]
    with pytest.raises(ModelFailed, match="no turn left"):
        _answer(made, _asked("hello"))


def test_a_turn_is_chosen_by_what_the_last_message_holds() -> None:
    made = _script('{"when": "rain", "text": "wet"}', '{"when": "sun", "text": "dry", "times": 0}')
    assert [_answer(made, _asked(text)).text for text in ("sun", "rain", "sun")] == ["dry", "wet", "dry"]
    result = ToolResult(id="1", content=(Text(text="the sun came"),))
    assert _answer(made, Request(messages=(Message(role="user", parts=(result,)),))).text == "dry"


def test_a_script_by_places_plays_the_same_after_its_driver_was_made_anew() -> None:
    lines = ('{"at": 0, "times": 0, "text": "first"}', '{"at": 1, "times": 0, "text": "second"}')
    for _ in range(2):
        made = _script(*lines)
        assert [_answer(made, _asked("", answers)).text for answers in (1, 0, 1)] == ["second", "first", "second"]


def test_thinking_text_and_tools_come_as_pieces_and_then_as_the_answer() -> None:
    made = _script(
        '{"thinking": "let me see", "text": "I look.", "calls": [{"name": "read", "arguments": {"a": 1}}, '
        '{"name": "read", "id": "x"}], "usage": {"input": 7, "output": 3}}'
    )

    async def all_of() -> list[AnyPiece | Answer]:
        return [piece async for piece in made.stream("script", _asked(""))]

    *pieces, answer = asyncio.run(all_of())
    assert isinstance(answer, Answer)
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == answer.text == "I look."
    assert "".join(piece.text for piece in pieces if isinstance(piece, ThinkingPiece)) == "let me see"
    assert [piece.id for piece in pieces if isinstance(piece, ToolPiece)] == ["call-0-0", "call-0-0", "x", "x"]
    assert [(call.id, call.arguments) for call in answer.calls] == [("call-0-0", {"a": 1}), ("x", {})]
    assert (answer.stop, answer.usage, answer.model) == (Stop.TOOL, Usage(input=7, output=3), "scripted/script")


def test_a_turn_may_fail_at_once_or_after_something_was_shown() -> None:
    made = _script(
        '{"error": {"code": "limited", "text": "too many", "after": 2.5}}',
        '{"text": "three small words", "shown": 2, "error": {"code": "cut"}}',
    )
    with pytest.raises(ModelFailed, match="too many") as limited:
        _answer(made, _asked(""))
    assert (limited.value.code, limited.value.after, limited.value.provider) == ("limited", 2.5, "scripted")

    async def shown() -> str:
        found = ""
        with pytest.raises(ModelFailed, match="cut"):
            async for piece in made.stream("script", _asked("")):
                assert isinstance(piece, TextPiece)
                found += piece.text
        return found

    assert asyncio.run(shown()) == "three small "


def test_a_delay_can_be_cut_short_by_cancelling() -> None:
    made = _script('{"text": "late", "delay": 60}')

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await collect_answer(made.stream("script", _asked("")))

    began = time.monotonic()
    asyncio.run(cancelled())
    assert time.monotonic() - began < 10


_DEEP: Final = '{"calls": [{"name": "x", "arguments": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}]}"


def test_a_line_ends_where_json_lines_do() -> None:
    """Other ends of lines may stand in a text of JSON as they are."""
    text = "one\u2028two\x85three"
    assert _answer(_script(json.dumps({"text": text}, ensure_ascii=False)), _asked("")).text == text


@pytest.mark.parametrize("line", ["{", '{"txt": "a"}', '{"error": {"code": "nothing"}}', _DEEP], ids=range(4))
def test_a_line_that_is_no_turn_is_told_by_its_number(line: str) -> None:
    with pytest.raises(ModelFailed, match="line 2 of the script"):
        _answer(_script('{"text": "a"}', line), _asked(""))
