"""Real servers on loopback, a lying name server, and a `web` Hand (acts)."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
import trustme

from runtime import Hand
from tests.hands.doubles import FakeCall, hand_module, seated

main = hand_module("web", "main")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
T = TypeVar("T")


def run(work: Coroutine[object, object, T]) -> T:
    """The work's result; a test that waits for ever fails instead."""
    return asyncio.run(asyncio.wait_for(work, 30))


class Server(Protocol):
    """port: where it listens. met: how many connections came."""

    port: int
    met: int


@asynccontextmanager
async def serving(
    talk: Talk, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Server]:
    """A server whose every connection is one `talk`, cut off at the end."""
    talks: set[asyncio.Task[None]] = set()

    class Met:
        port = 0
        met = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        Met.met += 1
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, asyncio.CancelledError):
            return  # the other side left, or the test is over
        finally:
            talks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    Met.port = server.sockets[0].getsockname()[1]
    try:
        yield Met
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def answering(*parts: bytes, then_wait: bool = False) -> Talk:
    """Reads a request's head, sends these bytes, and closes; or waits for the other side to close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        if then_wait:
            await reader.read()
        else:
            writer.close()
            await writer.wait_closed()

    return talk


def reply(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """A whole HTTP/1.1 reply with its length."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, ""))
    return head.encode("latin-1") + body


class Names:
    """A Lookup whose answers a test writes: for each name a list of answers, the last one again and again."""

    def __init__(self, **answers: list[tuple[str, ...]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        given = self.answers[host]
        return given.pop(0) if len(given) > 1 else given[0]


async def started(lookup: Callable[[str], Awaitable[tuple[str, ...]]] | None = None, **settings: object) -> Hand:
    """A started Hand. Unless told otherwise it may reach loopback, and is patient for two seconds."""
    given = {"private": ["127.0.0.0/8", "::1"], "timeout": 2.0, "connect_timeout": 2.0, "most": 64 << 20, **settings}
    with tempfile.TemporaryDirectory() as folder:
        hand: Hand = seated(main.Web, "web", Path(folder), {}, **given)
    await hand.start()
    if lookup:
        hand.lookup = lookup  # type: ignore[attr-defined]
    return hand


async def fetch(hand: Hand, url: str, **arguments: object) -> tuple[FakeCall, dict[str, object]]:
    """web.fetch: (the call with what was streamed, the reply)."""
    call = FakeCall(url)
    return call, await hand.fetch(call, **arguments)  # type: ignore[attr-defined]


async def failure(work: Awaitable[object]) -> tuple[str, str]:
    """(code, text) of the Failed that this must end in."""
    with pytest.raises(main.Failure) as failed:
        await work
    return failed.value.code, str(failed.value)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of this test's own."""
    return trustme.CA()


@pytest.fixture(scope="session")
def pem(authority: trustme.CA) -> str:
    """Its certificate, as the setting `authorities` takes it."""
    return authority.cert_pem.bytes().decode()


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server's context, certified for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def site(seen: list[str], *replies: bytes) -> Talk:
    """Answers one request after the other with these replies, the last one again and again; notes each request's head."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(replies[min(len(seen), len(replies)) - 1])
        await writer.drain()
        writer.close()

    return talk
