"""What is sent to a server elsewhere: how long that may take it, and what is given up with which request."""

import math
import ssl
from typing import cast

import anyio
import httpx2
import msgspec
import pytest

from runtime.kernel_handle import KernelHandle
from runtime.mcp import http
from runtime.mcp.posts import Message, Post, Posts, parse
from tests.runtime.mcp.side import run


def spoken(**message: object) -> Message:
    """What is known of it."""
    return parse("POST", msgspec.json.encode({"jsonrpc": "2.0", **message}))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (spoken(id=1, method="tools/call"), math.inf),
        (spoken(method="notifications/cancelled"), 5),
        (spoken(method="notifications/initialized"), 45),
        (spoken(id=0, result={}), 5),
        (spoken(id="1", error={}), 5),
        (parse("GET", b""), math.inf),
        (parse("POST", b"grant_type=refresh_token"), math.inf),
    ],
)
def test_only_what_asks_nothing_must_be_taken_soon(message: Message, seconds: float) -> None:
    assert message.patience == seconds


def test_an_answer_of_ours_stands_alone_though_it_has_the_number_of_a_request_and_comes_of_it() -> None:
    posts = Posts()
    call = posts.of(spoken(id=1, method="tools/call"))
    answer = posts.of(spoken(id=1, result={}))
    assert answer is not call
    assert posts.of(parse("GET", b"")) is call
    posts.give_up(1)
    assert (is_over(call), is_over(answer)) == (True, False)


def is_over(post: Post) -> bool:
    """Whether it was given up."""
    return post._is_over


def test_a_server_that_ends_each_stream_at_once_is_asked_for_the_next_one_at_a_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def empty(_: object, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=httpx2.ByteStream(b""), request=request)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def ask(method: str) -> None:
        far = http._Transport(cast(KernelHandle, None), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), None)
        async with httpx2.AsyncClient(transport=far) as client:
            for _ in range(40):
                await client.request(method, "http://far.example/mcp")

    slept: list[float] = []
    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", empty)
    monkeypatch.setattr(anyio, "sleep", sleep)
    run(ask("POST"))
    assert slept == []
    run(ask("GET"))
    assert slept == [2.0] * 10
