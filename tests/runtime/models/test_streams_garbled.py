"""Whatever bytes a provider sends, they become an Answer that keeps the contract, or a ModelFailed; nothing else."""

import asyncio
import json
from itertools import pairwise
from typing import Final

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.models.drivers import answers, refusals, schemas
from runtime.models.drivers.anthropic_in import AnthropicReader
from runtime.models.drivers.openai_in import OpenAIReader
from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer, AnyPiece, Stop, TextPiece, Usage, pack
from runtime.models.surrogates import SurrogateJoiner
from tests.runtime.models.plays import GOOD, MODELS, Good, asking, begun, block, calls, chunk, ended, made, written
from tests.runtime.models.stage import head, stage

SCRAPS: Final = (
    b"", b"\n", b"\r", b"\n\n", b"\x00", b"\xff", b"\xed\xa0\x80", b"{}", b"null", b"[]", b"7", b'"', b"}",
    b"data: ", b"event: ",
    b"data: [DONE]\n\n", b"data: {}\n\n", b"data: null\n\n", b"event: error\ndata: 7\n\n", b'data: {"error": 1}\n\n',
    b"event: message_stop\n\n", b"retry: 5\n", b"id: \xf0\n", b"\\ud83c", b"-1", b"1e999", b"99999999999999999999",
    b"[" * 2000,
)  # fmt: skip


@settings(max_examples=50)
@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), st.sampled_from(SCRAPS)), min_size=1, max_size=3),
)
@example(GOOD[0], [(1.0, 0, b"data: {}\n\n")])
def test_a_garbled_stream_is_an_answer_or_a_failure(good: Good, changes: list[tuple[float, int, bytes]]) -> None:
    body = good.body
    for where, gone, scrap in changes:
        at = round(where * len(body))
        body = body[:at] + scrap + body[at + gone :]

    async def played() -> None:
        shown = ""
        async with stage([head(), body]) as server:
            asked = made(good.driver, server.url)
            try:
                async for piece in asked.stream(MODELS[good.driver], asking()):
                    if isinstance(piece, Answer):
                        assert piece.text == shown
                        assert (piece.stop == "tool") == bool(piece.calls)
                        msgspec.msgpack.encode(piece)
                        continue
                    pack([piece])
                    shown += piece.text if isinstance(piece, TextPiece) else ""
            except ModelFailed:
                pass
            finally:
                await asked.close()

    asyncio.run(played())


_WORDS: Final = sorted(
    {"type", "index", "delta", "message", "usage", "content_block", "choices", "finish_reason", "content", "tool_calls",
     "function", "name", "arguments", "id", "model", "text", "input", "message_start", "content_block_start",
     "content_block_delta",
     "content_block_stop", "message_delta", "text_delta", "tool_use", "input_json_delta", "stop_reason", "input_tokens",
     "prompt_tokens", "completion_tokens", "reasoning", "thinking", "signature", "stop", "length"}
)  # fmt: skip
_LEAVES: Final = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3) | st.sampled_from(_WORDS)
)
_EVENTS: Final = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.wide
@settings(max_examples=100)
@given(st.lists(_EVENTS | st.dictionaries(st.sampled_from(_WORDS), _EVENTS, max_size=6), max_size=6))
def test_events_of_any_shape_are_read_or_refused(events: list[object]) -> None:
    for reader in (AnthropicReader("anthropic", "m", asking()), OpenAIReader("openai", "m", asking())):
        try:
            for event in events:
                pack(list(reader.take(event)))
            if reader.is_whole:
                msgspec.msgpack.encode(reader.answer())
        except (ModelFailed, msgspec.ValidationError):
            pass


def _surrogates(event: object) -> object:
    """The same event with half a letter behind each text that is no kind."""
    if isinstance(event, dict):
        kinds = ("type", "role")
        return {name: value if name in kinds else _surrogates(value) for name, value in event.items()}
    if isinstance(event, list):
        return [_surrogates(one) for one in event]
    return f"{event}-\ud83c" if isinstance(event, str) else event


@pytest.mark.parametrize("good", GOOD, ids=lambda good: f"{good.driver}: {good.name}")
def test_half_a_letter_anywhere_is_no_text_that_cannot_be_sent(good: Good) -> None:
    reader: AnthropicReader | OpenAIReader
    if good.driver == "anthropic":
        reader = AnthropicReader("anthropic", MODELS["anthropic"], asking())
    else:
        reader = OpenAIReader("openai", MODELS["openai"], asking())
    lines = [line[6:] for line in good.body.splitlines() if line.startswith(b"data: {")]
    pieces: list[AnyPiece] = []
    try:
        for line in lines:
            pieces += reader.take(_surrogates(json.loads(line)))
        answer = reader.answer()
    except UnicodeEncodeError:
        assert any(word in str(good.body) for word in ("thought_signature", "no id", '"path": "'))
        return  # reading.streamed makes it a failure
    pack(pieces)
    msgspec.msgpack.encode(answer)


@given(st.text(max_size=40), st.lists(st.integers(0, 90), max_size=6))
def test_text_cut_between_halves_of_letters_comes_whole(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    places = [0, *sorted(2 * cut for cut in cuts if 2 * cut < len(units)), len(units)]
    letters = SurrogateJoiner()
    found = "".join(
        letters.take(units[first:second].decode("utf-16-le", "surrogatepass")) for first, second in pairwise(places)
    )
    assert found + letters.rest() == text


@pytest.mark.parametrize(
    ("asked", "said", "is_same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4", "gpt-4o-mini", False),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("claude-sonnet-4-5", "claude-haiku-4-5", False),
        ("openai/gpt-4o", "gpt-4o-2024-11-20", True),
        ("meta-llama/Llama-3.1-8B", "llama-3.1-8b", True),
        ("llama3:8b", "llama3:70b", False),
        ("llama3", "llama3:latest", True),
        ("openrouter/auto", "anthropic/claude-sonnet-4-5", True),
        ("qwen2.5-7b", "/models/qwen2.5-7b.gguf", True),
        ("gpt-5", "", True),
    ],
)
def test_another_model_is_told_from_another_name(asked: str, said: str, is_same: bool) -> None:
    assert answers.is_same_model("somebody", asked, said) == is_same


def test_two_names_of_one_row_of_the_catalogue_are_one_model() -> None:
    from runtime.models.catalogue import catalogue

    row = next(model for model in catalogue().models.values() if model.aliases)
    assert all(answers.is_same_model(row.provider, row.id, alias) for alias in row.aliases)


@pytest.mark.parametrize(("asked", "said"), [("gpt-4o", "gpt-4o-mini"), ("gpt-4o-mini-2024-07-18", "gpt-4o")])
def test_two_rows_of_the_catalogue_are_two_models_though_the_name_of_one_begins_with_the_others(
    asked: str, said: str
) -> None:
    assert not answers.is_same_model("openai", asked, said)
    assert answers.is_same_model("openai", asked, asked)


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        ({"type": "object", "properties": {}, "required": [], "additionalProperties": False}, True),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
                "additionalProperties": False,
            },
            True,
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False},
            False,
        ),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"type": "integer", "minimum": 1}, False),
        ({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "x"}]}, False),
        ({"type": "object", "properties": [], "additionalProperties": False}, False),
        ({"type": "string", "enum": ["a"]}, True),
        ({"enum": ["a"]}, False),
        ({"type": "array"}, False),
        ({"type": "string", "enum": [["a"]]}, False),
        ({"type": ["object", "null"]}, False),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "x"}, True),
        ({"$ref": "#/$defs/a"}, True),
        ({"$ref": "#/$defs/a", "description": "as pydantic writes it"}, False),
        ({"$ref": "https://example.org/a.json"}, False),
    ],
)
def test_only_a_closed_schema_is_strict(schema: dict[str, object], is_strict: bool) -> None:
    assert schemas.is_strict(schema) == is_strict
    assert json.dumps(schema).replace(" ", "") in schemas.in_words(schema).replace(" ", "")


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(said: str, after: float | None) -> None:
    assert refusals.retry_after({"retry-after": said}, 40.0) == after


def test_what_is_told_is_one_short_line_without_the_key() -> None:
    told = refusals.printable("a\n\x1b[31mb sk-0123456789 " + "x" * 1000, "sk-0123456789")
    assert told.startswith("a [31mb [key] xxx")
    assert len(told) == refusals.WORDS + 1


@pytest.mark.parametrize("told", [-1, -(2**63), 10**12, 2**53, 10**17, 2**64 - 1])
def test_tokens_that_no_answer_takes_are_counted_here_instead(told: int) -> None:
    openai = OpenAIReader("openai", "m", asking())
    openai.take({"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]})
    openai.take({"choices": [], "usage": {"prompt_tokens": abs(told), "completion_tokens": min(told, 1)}})
    anthropic = AnthropicReader("anthropic", "m", asking())
    anthropic.take({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": told}}})
    anthropic.take({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}})
    for answer in (openai.answer(), anthropic.answer()):
        assert answer.usage.estimated
        assert 0 < answer.usage.total < 10_000


def _used(told: object) -> list[Answer]:
    """What both drivers make of a stream that tells its tokens so."""
    openai = OpenAIReader("openai", "m", asking())
    openai.take({"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]})
    openai.take({"choices": [], "usage": {"prompt_tokens": told, "completion_tokens": told}})
    anthropic = AnthropicReader("anthropic", "m", asking())
    anthropic.take({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": told}}})
    anthropic.take({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": told}})
    return [openai.answer(), anthropic.answer()]


@pytest.mark.parametrize("told", [4, 4.0, "4"])
def test_tokens_are_believed_however_a_whole_number_is_written(told: object) -> None:
    assert [answer.usage for answer in _used(told)] == [Usage(input=4, output=4)] * 2


@pytest.mark.parametrize("told", [None, True, 4.5, "4.5", "four", "", [4], {}, 1e300, float("nan"), float("inf")])
def test_tokens_that_are_no_number_cost_no_answer(told: object) -> None:
    assert all(answer.usage.estimated and 0 < answer.usage.total < 10_000 for answer in _used(told))


@pytest.mark.parametrize("told", [[], 7, "none", {"prompt_tokens_details": 7}])
def test_usage_that_is_no_table_costs_no_answer(told: object) -> None:
    reader = OpenAIReader("openai", "m", asking())
    last = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}], "usage": told}
    reader.take(last)
    assert reader.answer().usage.estimated


def _called(arguments: str, stops: tuple[str, str]) -> list[Answer]:
    """What both drivers make of an answer that ends so after a call's arguments, or in the middle of them."""
    anthropic = AnthropicReader("anthropic", MODELS["anthropic"], asking())
    for event in (begun(), *block(0, "tool_use", *written(arguments), id="a", name="wipe"), *ended(stops[0])):
        anthropic.take(event)
    openai = OpenAIReader("openai", MODELS["openai"], asking())
    openai.take(calls({"index": 0, "id": "a", "function": {"name": "wipe", "arguments": arguments}}))
    openai.take(chunk(finish=stops[1]))
    return [anthropic.answer(), openai.answer()]


@pytest.mark.parametrize("arguments", ["", " ", '{"path": "re'])
def test_a_call_that_was_cut_off_before_its_arguments_or_within_them_is_left_out(arguments: str) -> None:
    for answer in _called(arguments, ("max_tokens", "length")):
        assert (answer.parts, answer.stop) == ((), Stop.LENGTH)
        assert "within a call of wipe" in answer.notes[0]


@pytest.mark.parametrize("arguments", ["", '{"path": "re', '{"path": "x"}'])
def test_a_refused_answer_calls_nothing(arguments: str) -> None:
    for answer in _called(arguments, ("refusal", "content_filter")):
        assert (answer.parts, answer.stop) == ((), Stop.REFUSED)
        assert "call of wipe is left out" in answer.notes[0]


@pytest.mark.parametrize(
    ("arguments", "stops"),
    [('{"a": 1}', ("max_tokens", "length")), ("{}", ("max_tokens", "length")), ("", ("tool_use", "stop"))],
)
def test_a_call_that_is_whole_or_needs_no_arguments_is_made(arguments: str, stops: tuple[str, str]) -> None:
    assert all(len(answer.calls) == 1 for answer in _called(arguments, stops))
