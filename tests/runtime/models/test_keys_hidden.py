"""A provider that tells the key that it was given: in any place that it can, the key comes no further than the transport."""

import asyncio
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.models.drivers.hiding import HIDDEN, KeyFilter, hide_key
from runtime.models.failures import ModelFailed
from tests.runtime.models.plays import (
    KEY,
    MODELS,
    asking,
    begun,
    block,
    calls,
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
    text = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    hiding = KeyFilter(KEY)
    pieces = [hiding.take(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert b"".join([*pieces, hiding.rest()]).decode() == hide_key(text.decode(), KEY)


def test_what_no_provider_gives_as_a_key_is_not_looked_for() -> None:
    assert hide_key("a word", "a") == "a word"
    assert KeyFilter("word").take(b"a word") == b"a word"
    assert KeyFilter("").take(b"a word") == b"a word"
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
