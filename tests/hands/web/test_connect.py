"""web.connect: bytes both ways over an address that was checked, or a probe."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.hands.doubles import FakeCall
from tests.hands.web.conftest import Names, failure, run, serving, started


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.write(b" and that is all")
    await writer.drain()
    writer.write_eof()
    await reader.read()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.Event().wait()


def test_bytes_go_both_ways_and_a_half_close_is_passed_on() -> None:
    async def once() -> None:
        async with serving(echo) as server:
            call = FakeCall(f"127.0.0.1:{server.port}", upload=[b"one ", b"two"])
            done = await (await started()).connect(call)  # type: ignore[attr-defined]
            assert call.body == b"one two and that is all"
            assert (done["sent"], done["received"], done["address"]) == (7, 23, "127.0.0.1")
            assert done["connected_us"] > 0

    run(once())


def test_a_probe_ends_when_connected_although_the_server_stays() -> None:
    async def once() -> None:
        async with serving(silent) as server:
            done = await (await started()).connect(FakeCall(f"127.0.0.1:{server.port}"))  # type: ignore[attr-defined]
            assert (done["sent"], done["received"]) == (0, 0)

    run(once())


def test_a_caller_that_listens_gets_the_banner_and_the_servers_end_ends_the_call() -> None:
    async def listening() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def banner(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await writer.drain()

    async def banner_then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await banner(reader, writer)
        writer.close()
        await writer.wait_closed()

    async def once() -> None:
        async with serving(banner_then_close) as server:
            call = FakeCall(f"127.0.0.1:{server.port}", upload=listening())
            done = await (await started()).connect(call)  # type: ignore[attr-defined]
            assert call.body == b"220 ready\r\n"
            assert done["received"] == 11

    run(once())


def test_megabytes_go_through_whole() -> None:
    async def once() -> None:
        chunks = [bytes([number]) * 200_000 for number in range(50)]
        async with serving(echo) as server:
            call = FakeCall(f"127.0.0.1:{server.port}", upload=chunks)
            done = await (await started()).connect(call)  # type: ignore[attr-defined]
            assert call.body == b"".join(chunks) + b" and that is all"
            assert done["sent"] == 10_000_000

    run(once())


@pytest.mark.parametrize("resource", ["evil.example:80", "127.0.0.1:80", "[::1]:80", "169.254.169.254:80"])
def test_private_addresses_are_refused(resource: str) -> None:
    async def once() -> None:
        hand = await started(Names(evil_example=[("127.0.0.1",)]), private=[])
        assert (await failure(hand.connect(FakeCall(resource))))[0] == "private address"  # type: ignore[attr-defined]

    run(once())


def test_a_broken_connection_is_told() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        import socket
        import struct

        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def pushing() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async def once() -> None:
        async with serving(reset) as server:
            call = FakeCall(f"127.0.0.1:{server.port}", upload=pushing())
            assert (await failure((await started()).connect(call)))[0] == "broken off"  # type: ignore[attr-defined]

    run(once())


def test_an_upload_that_breaks_ends_the_call_and_the_connection() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("the caller is gone")

    async def once() -> None:
        ended = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            try:
                while await reader.read(10):
                    pass
            finally:
                ended.set()

        async with serving(talk) as server:
            call = FakeCall(f"127.0.0.1:{server.port}", upload=broken())
            with pytest.raises(ValueError, match="gone"):
                await (await started()).connect(call)  # type: ignore[attr-defined]
            await asyncio.wait_for(ended.wait(), 5)

    run(once())
