"""A client's connection over HTTP, as a door's run answers it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp.server.lowlevel import Server

from manifests.mcp import bearer
from runtime.mcp import web

GREETING = b"""{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
"capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}}"""
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


class Pieces:
    """A call whose client sends these pieces, and goes when it is answered."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces, self.answer, self.answered = pieces, b"", asyncio.Event()

    @property
    async def upload(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        await self.answered.wait()

    async def send(self, piece: bytes) -> None:
        self.answer += piece
        if b'"result"' in self.answer:
            self.answered.set()


def test_a_body_in_tiny_chunks_leaves_others_their_turns() -> None:
    """The loop is that of all clients of a door: one of 300 KB, a byte in each, would hold it for seconds."""
    token = "t" * 43
    chunks = b"".join(b"1\r\n%c\r\n" % letter for letter in GREETING + b" " * 40_000) + b"0\r\n\r\n"
    head = PLACE + f"Authorization: Bearer {token}\r\n".encode() + b"Transfer-Encoding: chunked\r\n"
    sent = head + b"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\r\n" + chunks
    call = Pieces([sent[at : at + 65_536] for at in range(0, len(sent), 65_536)])
    turns = [0.0]

    async def others() -> None:
        while True:
            began = time.process_time()
            await asyncio.sleep(0)
            turns.append(time.process_time() - began)

    async def connected() -> None:
        door = web.Web(Server("door"))
        async with asyncio.timeout(60), door.open():
            looking = asyncio.ensure_future(others())
            await door.connection(call, web.Gate(bearer.digest_of(token), 1))  # type: ignore[arg-type]
            looking.cancel()

    asyncio.run(connected())
    assert call.answer.startswith(b"HTTP/1.1 200 ")
    assert max(turns) < sum(turns) / 10, (max(turns), sum(turns))


class _Large(web.Web):
    """A door that answers everything with 3 MB."""

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3000000")]})
        await send({"type": "http.response.body", "body": b"x" * 3_000_000})


class Deaf(Pieces):
    """A call whose client asks and then reads nothing, and closes nothing."""

    def __init__(self) -> None:
        super().__init__([PLACE + b"\r\n"])

    async def send(self, piece: bytes) -> None:
        await asyncio.Event().wait()


def test_an_answer_waits_until_clients_have_read_and_who_does_not_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "UNSENT_MOST", 10_000_000)
    monkeypatch.setattr(web, "STALE", 0.5)

    async def connected() -> tuple[list[bool], list[bool]]:
        door = _Large(Server("door"))
        ends = [
            asyncio.ensure_future(door.connection(Deaf(), web.Gate("0" * 64, 1)))  # type: ignore[arg-type]
            for _ in range(3)
        ]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(30):
            await door.room(200_000)
            before = [end.done() for end in ends]
            await door.room(700_000)
            await asyncio.sleep(0.1)
        after = [end.done() for end in ends]
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        return before, after

    before, after = asyncio.run(connected())
    assert before == [False] * 3
    assert sum(after) == 1


class Asking:
    """A call whose client greets, and then says this in its session; answers: those of the door."""

    def __init__(self, head: bytes, said: bytes) -> None:
        self.head, self.said = head, said
        self.answers, self.heard = [b"", b""], [asyncio.Event(), asyncio.Event()]
        self.session = b""

    @property
    async def upload(self) -> AsyncIterator[bytes]:
        for body, heard in zip((GREETING, self.said), self.heard, strict=True):
            yield self.head + self.session + b"Content-Length: %d\r\n\r\n" % len(body) + body
            await heard.wait()
            head = self.answers[0].partition(b"\r\n\r\n")[0]
            self.session = next(line for line in head.splitlines(True) if line.lower().startswith(b"mcp-session-id:"))

    async def send(self, piece: bytes) -> None:
        number = 1 if self.heard[0].is_set() else 0
        self.answers[number] += piece
        if self.answers[number].endswith((b"\r\n0\r\n\r\n", b"}")) or b" 202 " in self.answers[number]:
            self.heard[number].set()


@pytest.mark.parametrize(
    ("number", "status"), [(b"null", b"400"), (b"1.5", b"400"), (b"[1]", b"400"), (b'"a"', b"200"), (b"7", b"200")]
)
def test_a_request_whose_id_is_none_is_answered_and_not_taken_for_a_notification(number: bytes, status: bytes) -> None:
    token = "t" * 43
    head = PLACE + b"Authorization: Bearer %s\r\nContent-Type: application/json\r\n" % token.encode()
    head += b"MCP-Protocol-Version: 2025-11-25\r\nAccept: application/json, text/event-stream\r\n"
    call = Asking(head, b'{"jsonrpc": "2.0", "id": %s, "method": "ping"}' % number)

    async def connected() -> None:
        door = web.Web(Server("door"))
        async with asyncio.timeout(30), door.open():
            await door.connection(call, web.Gate(bearer.digest_of(token), 1))  # type: ignore[arg-type]

    asyncio.run(connected())
    assert call.answers[1].startswith(b"HTTP/1.1 " + status), call.answers[1]
    if status == b"400":
        assert b'"id":null,"error":{"code":-32600,' in call.answers[1]
