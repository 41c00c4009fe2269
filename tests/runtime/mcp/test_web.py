"""A client's connection over HTTP, as a door's run answers it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from mcp.server.lowlevel import Server

from runtime.mcp import web

PLACE = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:1\r\n"


class Dribbling:
    """A call whose client sends this, and then nothing more, and closes nothing. An empty piece is an answer awaited."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.answered = pieces, asyncio.Event()

    @property
    async def upload(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if piece:
                yield piece
            else:
                await self.answered.wait()
        await asyncio.Event().wait()

    async def send(self, piece: bytes) -> None:
        assert piece.startswith(b"HTTP/1.1 401 ")
        self.answered.set()


@pytest.mark.parametrize(
    "pieces",
    [
        (PLACE[:10],),
        (PLACE, b"Content-Length: 9\r\n\r\n", b"{"),
        (PLACE + b"Content-Length: 2\r\n\r\n{}", b"", b"P"),
    ],
    ids=["in the head", "in the body", "in the next one"],
)
def test_a_request_that_is_never_whole_keeps_no_place(
    pieces: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "REQUEST_WITHIN", 0.1)
    call = Dribbling(*pieces)

    async def connected() -> None:
        async with asyncio.timeout(30):
            await web.Web(Server("door")).connection(call, web.Gate("0" * 64, 1))  # type: ignore[arg-type]

    asyncio.run(connected())
