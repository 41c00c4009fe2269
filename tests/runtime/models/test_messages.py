"""Requests, answers and pieces travel through a call's body and through JSON, and what is none is refused in words."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.agent_task import Step, Task
from runtime.models import failures
from runtime.models.drivers import DRIVERS, Endpoint
from runtime.models.failures import KINDS, ModelFailed
from runtime.models.messages import (  # fmt: skip
    Answer,
    AnyPiece,
    Image,
    Message,
    Request,
    Stop,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    Tool,
    ToolCall,
    ToolPiece,
    ToolResult,
    Usage,
    pack,
    parse_answer,
    parse_request,
    unpack,
)
from wire import codec
from wire.errors import CodecError

_WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=5,
)
_OBJECTS = st.dictionaries(_WORDS, _JSON, max_size=3)
_TEXTS = st.builds(Text, text=_WORDS)
_IMAGES = st.builds(Image, media=st.sampled_from(["image/png", "image/webp"]), content=st.binary(max_size=20))
_THOUGHTS = st.builds(Thinking, text=_WORDS, seal=_WORDS, provider=_WORDS)
_CALLS = st.builds(ToolCall, id=_WORDS, name=_WORDS, arguments=_OBJECTS, malformed=_WORDS)
_RESULTS = st.builds(
    ToolResult, id=_WORDS, content=st.lists(_TEXTS | _IMAGES, max_size=2).map(tuple), failed=st.booleans()
)
_PARTS = st.one_of(_TEXTS, _IMAGES, _THOUGHTS, _CALLS, _RESULTS)
_MESSAGES = st.builds(
    Message, role=st.sampled_from(["user", "assistant"]), parts=st.lists(_PARTS, max_size=4).map(tuple)
)
_TASKS = st.builds(
    Task,
    kind=st.sampled_from(["summarise", "rank", "steps"]),
    text=_WORDS,
    among=st.lists(_WORDS, max_size=2).map(tuple),
    steps=st.lists(st.builds(Step, tool=st.just("files_read"), arguments=_OBJECTS), max_size=2).map(tuple),
)
REQUESTS = st.builds(
    Request,
    messages=st.lists(_MESSAGES, min_size=1, max_size=4).map(tuple),
    system=_WORDS,
    tools=st.lists(st.builds(Tool, name=st.just("a_b-9"), description=_WORDS, parameters=_OBJECTS), max_size=2).map(
        tuple
    ),
    schema=st.none() | _OBJECTS,
    most=st.integers(0, 10**6),
    temperature=st.none() | st.floats(0, 2),
    stop=st.lists(_WORDS, max_size=4).map(tuple),
    task=st.none() | _TASKS,
)
ANSWERS = st.builds(
    Answer,
    parts=st.lists(st.one_of(_TEXTS, _THOUGHTS, _CALLS), max_size=4).map(tuple),
    stop=st.sampled_from(Stop),
    usage=st.builds(Usage, input=st.integers(0, 10**9), cached=st.integers(0, 10**9)),
    model=_WORDS,
    value=_JSON,
    micro_dollars=st.integers(0, 10**12),
)
PIECES = st.lists(
    st.builds(TextPiece, text=_WORDS)
    | st.builds(ThinkingPiece, text=_WORDS)
    | st.builds(ToolPiece, id=_WORDS, name=_WORDS)
)


@given(REQUESTS)
def test_a_request_travels_through_the_body_of_a_call_and_through_json(request: Request) -> None:
    body = codec.decode_body(codec.encode_body(msgspec.structs.asdict(request)))
    assert isinstance(body, dict)
    assert parse_request(dict(body)) == request
    assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request


@given(ANSWERS)
def test_an_answer_travels_through_the_reply_of_a_call(answer: Answer) -> None:
    assert parse_answer(codec.decode_body(codec.encode_body(answer))) == answer


@given(PIECES)
def test_pieces_travel_through_a_chunk(pieces: list[AnyPiece]) -> None:
    assert unpack(pack(pieces)) == pieces


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "messages"),
        ({"messages": []}, "length >= 1"),
        ({"messages": [{"role": "system", "parts": []}]}, "role"),
        ({"messages": [{"role": "user", "parts": [{"type": "video"}]}]}, "type"),
        (
            {"messages": [{"role": "user", "parts": [{"type": "image", "media": "image/svg+xml", "content": b""}]}]},
            "media",
        ),
        ({"messages": [{"role": "user", "parts": []}], "tools": [{"name": "web.fetch"}]}, "tools"),
        ({"messages": [{"role": "user", "parts": []}], "temperature": 3}, "temperature"),
        ({"messages": [{"role": "user", "parts": []}], "model": "other"}, "model"),
    ],
)
def test_what_is_no_request_is_refused_in_words(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(CodecError, match=why):
        parse_request(wrong)


@pytest.mark.parametrize("chunk", [b"", b"\xc1", pack([])[:0] + b"\x91\x80", b"\x91" * 5000])
def test_what_is_no_chunk_is_refused(chunk: bytes) -> None:
    with pytest.raises(CodecError):
        unpack(chunk)


def test_an_answer_tells_its_text_and_calls_in_order() -> None:
    call = ToolCall(id="1", name="t", arguments={"a": 1})
    answer = Answer(parts=(Text(text="a"), Thinking(text="no"), call, Text(text="b")), stop=Stop.TOOL)
    assert (answer.text, answer.calls) == ("ab", (call,))
    assert Usage(input=1, cached=2, cache_written=3, output=4).total == 10


def test_an_endpoint_never_shows_its_key() -> None:
    endpoint = Endpoint(provider="p", base_url="https://p.example", key="sk-secret", options={"token": "sk-secret"})
    assert "secret" not in f"{endpoint} {endpoint!r} {[endpoint]}"


def test_every_status_is_a_failure_that_is_known() -> None:
    for status in range(400, 600):
        kind = ModelFailed(failures.code_of_status(status), "no").kind
        assert kind.again == (status >= 500 or status in (408, 429)), status


def test_what_speaks_for_the_request_being_wrong_is_tried_nowhere_again() -> None:
    assert [code for code, kind in KINDS.items() if kind.again and not kind.elsewhere] == []


def test_no_driver_is_imported_before_it_is_asked_for() -> None:
    import subprocess
    import sys

    code = f"import sys, runtime.models.drivers; print([m for m, _ in {tuple(DRIVERS.values())} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "[]\n"
