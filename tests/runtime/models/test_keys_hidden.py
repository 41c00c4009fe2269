"""A provider that tells the key that it was given: in any place that it can, the key comes no further than the transport."""

import asyncio
import json
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.models.drivers.hiding import HIDDEN, KeyFilter, hide_key
from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer, AnyPiece, TextPiece, ThinkingPiece
from tests.runtime.models.plays import (
    KEY,
    MODELS,
    asking,
    begun,
    block,
    calls,
    checked,
    chunk,
    ended,
    made,
    texts,
    written,
)  # fmt: skip
from tests.runtime.models.stage import Play, head, named, stage, unnamed, whole

_ANYWHERE: Final[list[Play]] = [
    [whole(400, {"error": {"type": KEY, "code": f"x{KEY}", "message": f"{'x' * 290}{KEY}"}})],
    [whole(401, {"error": {"type": KEY.upper(), "message": KEY}}, Retry_After=KEY)],
    [whole(500, f"a trace of {KEY}")],
    [whole(200, KEY, kind=f"text/{KEY}")],
    [f"HTTP/1.1 200 OK\r\nX {KEY}\r\n\r\n".encode()],
    [f"HELLO {KEY}\r\n\r\n".encode()],
    [head(302, Location=f"http://127.0.0.1:1/{KEY}")],
]
_ANTHROPIC: Final[list[Play]] = [
    [head(), named({**begun(), "message": {"model": KEY}})],
    [head(), named(begun(), {"type": "error", "error": {"type": KEY, "message": KEY}})],
    [head(), named(begun(), *block(0, "text", *texts("It is ", f"{KEY}."), text=""), *ended(KEY))],
    [
        head(),
        named(begun(), *block(0, "tool_use", *written(f'{{"k": "{KEY}"}}'), id=KEY, name=KEY), *ended("tool_use")),
    ],
]
_OPENAI: Final[list[Play]] = [
    [head(), unnamed(chunk(model=KEY))],
    [head(), unnamed(chunk({"content": "a"}), {"error": {"code": KEY, "message": KEY}})],
    [head(), unnamed(chunk({"content": f"It is {KEY}."}), chunk(finish=KEY), "[DONE]")],
    [head(), unnamed(calls({"id": KEY, "function": {"name": KEY, "arguments": KEY}}), chunk(finish="tool_calls"))],
]


@pytest.mark.wide
@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_a_key_that_a_provider_tells_is_in_nothing_that_comes_of_it(name: str) -> None:
    async def told(play: Play) -> str:
        async with stage(play) as server:
            asked = made(name, server.url)
            try:
                found = [piece async for piece in asked.stream(MODELS[name], asking())]
            except ModelFailed as failure:
                return f"{failure} {failure.code} {failure.text} {failure.after} {failure.provider}"
            finally:
                await asked.close()
            assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
            return repr(found)

    for play in [*_ANYWHERE, *(_ANTHROPIC if name == "anthropic" else _OPENAI)]:
        assert KEY.lower() not in asyncio.run(told(play)).lower(), play


@given(
    st.lists(st.sampled_from([KEY, KEY[:7], KEY[7:], KEY.upper(), KEY[:-1], "sk", "s", "x\n"])), st.data()
)  # fmt: skip
def test_a_key_is_taken_out_however_its_bytes_are_cut_and_nothing_else_is(
    parts: list[str], data: st.DataObject
) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    hiding = KeyFilter(KEY)
    pieces = [hiding.take(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join([*pieces, hiding.rest()]) == hide_key(text, KEY)


_ODD: Final = 'sk:a/b+c"d=\\very~secret'
_AS_OTHERS_WRITE_IT: Final = [
    _ODD,
    json.dumps(_ODD)[1:-1],
    json.dumps(_ODD)[1:-1].replace("/", "\\/"),
    "".join(f"\\u{ord(one):04X}" if one in ':/+"=\\' else one for one in _ODD),
    quote(_ODD, safe=""),
    quote(_ODD, safe="").lower(),
    quote(_ODD, safe="").replace("~", "%7E"),
]


@pytest.mark.parametrize("written", _AS_OTHERS_WRITE_IT)
def test_a_key_is_taken_out_as_json_and_urls_write_it(written: str) -> None:
    assert hide_key(f"it is {written}!", _ODD) == f"it is {HIDDEN}!"
    for cut in range(len(written)):
        hiding = KeyFilter(_ODD)
        pieces = [hiding.take(f"it is {written[:cut]}"), hiding.take(f"{written[cut:]}!"), hiding.rest()]
        assert "".join(pieces) == f"it is {HIDDEN}!"


def test_a_key_of_two_backslashes_is_taken_out_wherever_it_is_cut() -> None:
    key = r"very\\secret\words"
    for cut in range(len(key)):
        hiding = KeyFilter(key)
        assert "".join([hiding.take(key[:cut]), hiding.take(key[cut:]), hiding.rest()]) == HIDDEN


def _cut(text: str) -> tuple[str, ...]:
    return text[:3], text[3:9], text[9:]


def _thoughts(text: str) -> list[dict[str, object]]:
    return [{"type": "thinking_delta", "thinking": one} for one in _cut(text)]


_CUT_ANTHROPIC: Final = named(
    begun(),
    *block(0, "thinking", *_thoughts(KEY), thinking="", signature=""),
    *block(1, "text", *texts("Yes: ", *_cut(KEY), " and as"), text=""),
    *block(2, "tool_use", *written('{"k": "', *_cut(KEY), '"}'), id="c1", name="read", input={}),
    *ended("tool_use"),
)
_CUT_OPENAI: Final = unnamed(
    *(chunk({"reasoning_content": one}) for one in _cut(KEY)),
    *(chunk({"content": one}) for one in ("Yes: ", *_cut(KEY), " and as")),
    calls({"index": 0, "id": "c1", "function": {"name": "read", "arguments": '{"k": "'}}),
    calls({"index": 1, "id": "c2", "function": {"name": "now", "arguments": ""}}),
    *(
        calls({"index": at, "function": {"arguments": one}})
        for piece in _cut(KEY)
        for at, one in ((0, piece), (1, f"{piece}, "))
    ),
    calls({"index": 0, "function": {"arguments": '"}'}}),
    chunk(finish="tool_calls"),
    "[DONE]",
)


@pytest.mark.parametrize(("name", "body"), [("anthropic", _CUT_ANTHROPIC), ("openai", _CUT_OPENAI)])
def test_a_key_that_comes_in_several_deltas_is_taken_out_of_pieces_and_answer(name: str, body: bytes) -> None:
    async def told() -> tuple[list[AnyPiece], Answer]:
        async with stage([head(), body]) as server:
            asked = made(name, server.url)
            try:
                return await checked(asked, name)
            finally:
                await asked.close()

    pieces, answer = asyncio.run(told())
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == "Yes: [key] and as" == answer.text
    assert "".join(piece.text for piece in pieces if isinstance(piece, ThinkingPiece)) == HIDDEN
    assert answer.calls[0].arguments == {"k": HIDDEN}
    assert "secret" not in repr((pieces, answer))


def test_what_no_provider_gives_as_a_key_is_not_looked_for() -> None:
    assert hide_key("a word", "a") == "a word"
    assert KeyFilter("word").take("a word") == "a word"
    assert KeyFilter("").take("a word") == "a word"
    assert hide_key(f"it is {KEY}", KEY) == f"it is {HIDDEN}"


@pytest.mark.parametrize("name", ["anthropic", "openai"])
@pytest.mark.parametrize("odd", ["\r", "\0", " "])
def test_a_key_that_no_header_can_carry_is_quoted_to_nobody(name: str, odd: str) -> None:
    async def told() -> ModelFailed:
        async with stage([head()]) as server:
            asked = made(name, server.url, key=KEY + odd)
            with pytest.raises(ModelFailed) as caught:
                await asked.list_models()
            await asked.close()
            return caught.value

    failure = asyncio.run(told())
    assert failure.code == "unconfigured"
    assert KEY not in failure.text
