"""web.fetch: one hop, streamed, and bounded whatever the server does."""

import asyncio
import gzip
import time
import zlib

import pytest

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.web.conftest import Talk, answering, failure, fetch, reply, run, serving, started

http_hop = hand_module("web", "http_hop")


def fetched(talk: Talk, path: str = "/", **arguments: object) -> tuple[FakeCall, dict[str, object]]:
    """One fetch from a server that talks so."""

    async def once() -> tuple[FakeCall, dict[str, object]]:
        async with serving(talk) as server:
            return await fetch(await started(), f"http://127.0.0.1:{server.port}{path}", **arguments)

    return run(once())


def failed(talk: Talk, **arguments: object) -> tuple[str, str]:
    """(code, text) of a fetch that must fail."""

    async def once() -> tuple[str, str]:
        async with serving(talk) as server:
            return await failure(fetch(await started(), f"http://127.0.0.1:{server.port}/", **arguments))

    return run(once())


def test_a_page_is_streamed_with_its_facts() -> None:
    call, done = fetched(answering(reply(b"hello", "Content-Type: text/plain", "X-Two: a", "x-two: b")), "/x?y=1")
    assert call.body == b"hello"
    assert (done["status"], done["size"], done["address"]) == (200, 5, "127.0.0.1")
    assert done["headers"] == {"content-length": "5", "content-type": "text/plain", "x-two": "a, b"}
    assert str(done["url"]).endswith("/x?y=1")
    times = [done["connected_us"], done["first_byte_us"], done["elapsed_us"]]
    assert times == sorted(times)  # type: ignore[type-var]
    assert "location" not in done


def test_the_request_is_what_was_asked() -> None:
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply(b"ok"))
        await writer.drain()
        writer.close()

    fetched(talk, "/a%20b?c=d", headers={"Accept": "text/csv", "X-Mine": "1"})
    head = seen[0].decode().lower().split("\r\n")
    assert head[0] == "get /a%20b?c=d http/1.1"
    assert {"accept: text/csv", "x-mine: 1", "connection: close", "accept-encoding: gzip, deflate"} <= set(head)
    assert sum(line.startswith("host: 127.0.0.1:") for line in head) == 1
    assert not any(line.startswith(("cookie:", "authorization:", "referer:")) for line in head)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Transfer-Encoding": "chunked"},
        {"content-length": "5"},
        {"Proxy-Authorization": "x"},
        {"X-Bad": "a\r\nHost: evil.example"},
        {"X Bad": "a"},
        {"X-Number": 7},
        {"X-Large": "x" * 20_000},
        {"X-Wide": "日本"},
    ],
)
def test_headers_that_would_bend_the_request_are_refused(headers: dict[str, object]) -> None:
    assert failed(answering(reply(b"")), headers=headers)[0] == "arguments"


@pytest.mark.parametrize("method", ["POST", "get", "CONNECT", "GET / HTTP/1.1\r\nX:"])
def test_other_methods_are_refused(method: str) -> None:
    assert failed(answering(reply(b"")), method=method)[0] == "arguments"


def test_head_has_no_body() -> None:
    head = reply(b"x" * 50, "Content-Encoding: gzip")[:-50]
    call, done = fetched(answering(head), method="HEAD")
    assert call.body == b""
    assert done["headers"] == {"content-length": "50", "content-encoding": "gzip"}
    assert fetched(answering(reply(b"x" * 50)[:-50]), method="HEAD", most=3)[1]["size"] == 0


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_told_and_not_followed(status: str) -> None:
    async def once() -> None:
        async with serving(answering(reply(b"elsewhere"))) as elsewhere:
            target = f"http://127.0.0.1:{elsewhere.port}/new"
            async with serving(answering(reply(b"moved", f"Location: {target}", status=status))) as server:
                call, done = await fetch(await started(), f"http://127.0.0.1:{server.port}/old")
            assert (done["status"], done["location"], call.body) == (int(status[:3]), target, b"moved")
            assert elsewhere.met == 0

    run(once())


def test_a_relative_redirect_is_made_absolute() -> None:
    _, done = fetched(answering(reply(b"", "Location: ../new", status="302 Found")), "/a/b/c")
    assert str(done["location"]).endswith("/a/new")
    assert "location" not in fetched(answering(reply(b"", "Location: /made", status="201 Created")))[1]


def test_chunks_and_interim_replies_are_read() -> None:
    parts = (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n",
        b"4;x=y\r\ndefg\r\n",
        b"0\r\nTrailer: x\r\n\r\n",
    )
    assert fetched(answering(*parts))[0].body == b"abcdefg"


def test_a_body_without_length_ends_with_the_connection() -> None:
    assert fetched(answering(b"HTTP/1.0 200 OK\r\n\r\nold"))[0].body == b"old"


def test_small_pieces_that_are_there_together_come_as_one_chunk() -> None:
    many = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    call, done = fetched(answering(many))
    assert done["size"] == 20_000
    assert len(call.sent) < 50


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_packed_body_is_unpacked(coding: str, pack: object) -> None:
    body = b"unpacked " * 1000
    call, done = fetched(answering(reply(pack(body), f"Content-Encoding: {coding}")))  # type: ignore[operator]
    assert call.body == body
    assert done["size"] == len(body)
    assert done["headers"] == {}


def test_an_unknown_coding_is_handed_on_as_it_is() -> None:
    call, done = fetched(answering(reply(b"\x01\x02", "Content-Encoding: br")))
    assert call.body == b"\x01\x02"
    assert done["headers"] == {"content-length": "2", "content-encoding": "br"}


def test_a_bomb_ends_at_most() -> None:
    bomb = gzip.compress(bytes(200_000_000))
    code, text = failed(answering(reply(bomb, "Content-Encoding: gzip")), most=1_000_000)
    assert code == "too large"
    assert "1000000" in text


def test_a_packed_body_that_unpacks_to_nothing_ends_too() -> None:
    nothing = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b"\x00\x00\x00\xff\xff" * 50_000
    code, _ = failed(answering(reply(nothing, "Content-Encoding: gzip")), most=1000)
    assert code == "too large"


def test_a_length_above_most_is_refused_before_anything_is_delivered() -> None:
    code, text = failed(answering(reply(b"x" * 100)), most=99)
    assert code == "too large"
    assert "100" in text
    assert fetched(answering(reply(b"x" * 100)), most=100)[0].body == b"x" * 100


def test_a_body_without_length_is_cut_at_most() -> None:
    async def once() -> None:
        async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)) as server:
            call = FakeCall(f"http://127.0.0.1:{server.port}/")
            hand = await started()
            assert (await failure(hand.fetch(call, most=999)))[0] == "too large"  # type: ignore[attr-defined]
            assert call.body == b"x" * 999

    run(once())


def test_the_setting_bounds_the_callers_most() -> None:
    async def once() -> None:
        async with serving(answering(reply(b"x" * 100))) as server:
            hand = await started(most=50)
            assert (await failure(fetch(hand, f"http://127.0.0.1:{server.port}/", most=1000)))[0] == "too large"

    run(once())


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "bad reply"),
        (b"\x00\xff" * 100, "bad reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "bad reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "bad reply"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "bad reply"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "bad reply"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", "bad reply"),
        (b"HTTP/1.1 103 Hints\r\n\r\n" * 100, "bad reply"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "bad reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "broken off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "broken off"),
        (b"HTTP/1.1 200", "broken off"),
        (b"", "broken off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "bad reply"),
        (reply(gzip.compress(b"whole", mtime=0)[:-4], "Content-Encoding: gzip"), "broken off"),
    ],
)
def test_a_reply_that_is_none_is_told(raw: bytes, code: str) -> None:
    assert failed(answering(raw))[0] == code


@pytest.mark.parametrize(
    ("parts", "phase"),
    [
        ((), "first byte"),
        ((b"HTTP/1.1 200 OK\r\n",), "first byte"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"he"), "body"),
    ],
)
def test_a_server_that_stops_talking_ends_at_the_deadline(parts: tuple[bytes, ...], phase: str) -> None:
    code, text = failed(answering(*parts, then_wait=True), timeout=0.1)
    assert code == "timeout"
    assert phase in text


def test_a_slow_loris_ends_at_the_deadline() -> None:
    """It sends a byte again and again, each in time, and never ends."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)

    began = time.monotonic()
    assert failed(drip, timeout=0.2)[0] == "timeout"
    assert time.monotonic() - began < 5


def test_a_slow_caller_slows_the_server_and_not_the_memory() -> None:
    """Nobody reads, so the server must come to a halt although it would send for ever."""

    async def once() -> None:
        sent = 0
        quiet = asyncio.Event()

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(bytes(65536))
                try:
                    await asyncio.wait_for(writer.drain(), 0.2)
                except TimeoutError:
                    quiet.set()
                    await asyncio.Event().wait()
                sent += 65536

        class Stuck(FakeCall):
            async def send(self, chunk: bytes) -> None:
                await asyncio.Event().wait()

        async with serving(flood) as server:
            hand = await started(timeout=30.0)
            call = Stuck(f"http://127.0.0.1:{server.port}/")
            task = asyncio.create_task(hand.fetch(call))  # type: ignore[attr-defined]
            await asyncio.wait_for(quiet.wait(), 20)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert sent < 32 * 1024 * 1024

    run(once())


@pytest.mark.wide
def test_a_body_of_tiny_chunks_keeps_nobody_else_waiting() -> None:
    """Each chunk of one byte costs as much as a large one, and all callers share the process."""

    async def once() -> None:
        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"1\r\na\r\n" * 20_000)
                await writer.drain()

        async with serving(flood) as server:
            hand, longest, before = await started(timeout=30.0), 0.0, 0.0
            began = time.process_time()
            task = asyncio.create_task(fetch(hand, f"http://127.0.0.1:{server.port}/", most=60_000))
            while not task.done():
                before = time.process_time()
                await asyncio.sleep(0)
                longest = max(longest, time.process_time() - before)
            assert (await failure(task))[0] == "too large"
            assert longest < (time.process_time() - began) / 4  # a share: seconds would tell of the machine

    run(once())


def test_no_cookie_is_kept() -> None:
    async def once() -> None:
        seen: list[bytes] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(reply(b"", "Set-Cookie: a=1", "Set-Cookie: b=2"))
            await writer.drain()

        async with serving(talk) as server:
            hand = await started()
            url = f"http://127.0.0.1:{server.port}/"
            await fetch(hand, url)
            _, done = await fetch(hand, url)
            assert done["headers"]["set-cookie"] == "a=1\nb=2"  # type: ignore[index]
            assert b"ookie" not in seen[1]

    run(once())
