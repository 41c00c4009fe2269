"""How much a server may send that is no answer, on standard streams and over HTTP alike."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import anyio
import pytest
from mcp.client._transport import TransportStreams
from mcp.shared._context_streams import create_context_streams
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from runtime.errors import HandBroken
from runtime.kernel_handle import KernelHandle
from runtime.mcp import http
from runtime.mcp.patience import ASKED_MOST, NONSENSE_MOST, Patience
from tests.runtime.mcp.side import run

MOST = "it has more than 64 requests open"


def asked(number: int) -> SessionMessage:
    """A request of the server."""
    return SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method="ping"))


def answer(number: int) -> SessionMessage:
    """Our answer to it."""
    return SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=number, result={}))


def test_a_server_may_ask_as_often_as_it_likes_if_it_waits_for_the_answers() -> None:
    patience = Patience()
    for number in range(100):
        patience.hear(asked(number))
        patience.say(answer(number))


def test_what_a_server_takes_back_is_open_no_more_and_the_rest_still_is() -> None:
    patience = Patience()
    for number in range(100):  # nobody answers what was taken back
        patience.hear(asked(number))
        params = {"requestId": number}
        patience.hear(
            SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params=params))
        )
    for number in range(ASKED_MOST):
        patience.hear(asked(number))
    with pytest.raises(HandBroken, match=MOST):
        patience.hear(asked(ASKED_MOST))


@pytest.mark.parametrize(
    ("one", "many", "why"),
    [(asked(1), ASKED_MOST + 1, MOST), (ValueError("no message"), NONSENSE_MOST + 1, "were not messages")],
)
def test_a_server_elsewhere_has_the_same_bounds(
    monkeypatch: pytest.MonkeyPatch, one: SessionMessage | Exception, many: int, why: str
) -> None:
    async def heard(*, taking: bool) -> int:
        received, read = create_context_streams[SessionMessage | Exception](many)
        written, taken = create_context_streams[SessionMessage](0)

        @asynccontextmanager
        async def flooding(*_: object, **__: object) -> AsyncIterator[TransportStreams]:
            yield read, written

        monkeypatch.setattr(http, "streamable_http_client", flooding)
        for _ in range(many):
            await received.send(one)
        received.close()
        count = 0

        async def reply() -> None:
            with suppress(anyio.ClosedResourceError):
                await writes.send(answer(1))

        far = http.remote("http://far.example/mcp", cast(KernelHandle, None), {}, context)
        async with received, read, written, taken, far as (reads, writes), asyncio.TaskGroup() as group:
            async for _ in reads:
                count += 1
                replying = group.create_task(reply())
                if taking:
                    await taken.receive()
                    await replying
                await asyncio.sleep(0)
        return count

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ExceptionGroup) as caught:
        run(heard(taking=False))
    assert why in str(caught.value.exceptions)
    if isinstance(one, SessionMessage):
        assert run(heard(taking=True)) == many
