"""When a program has heard that a call of its is over: once it has read that, whatever comes after it; or has ended."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from manifests.sharing import UNHEARD_MOST
from runtime.bridge import Bridge
from runtime.heard import WAITING_MOST, Unheard, is_read
from runtime.lines import Done

TOLD = b'{"type":"cancel"}\n'


def _talk(work: Callable[[asyncio.StreamWriter, socket.socket], Awaitable[None]]) -> None:
    async def talk() -> None:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            await work(writer, theirs)
        finally:
            writer.close()
            theirs.close()

    asyncio.run(talk())


def _program() -> Any:
    """One that does not end."""

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)

    return SimpleNamespace(wait=wait)


def test_what_is_written_is_read_once_the_last_byte_of_it_is() -> None:
    async def work(writer: asyncio.StreamWriter, theirs: socket.socket) -> None:
        assert is_read(writer)
        writer.write(TOLD)
        assert not is_read(writer)
        theirs.recv(len(TOLD) - 1)
        assert not is_read(writer)
        theirs.recv(1)
        assert is_read(writer)

    _talk(work)


def test_what_still_waits_here_is_not_read() -> None:
    async def work(writer: asyncio.StreamWriter, theirs: socket.socket) -> None:
        much = bytes(4 << 20)
        writer.write(much)
        came = 0
        while came < len(much):
            assert not is_read(writer)
            came += len(theirs.recv(1 << 20))
            await asyncio.sleep(0.001)
        assert is_read(writer)

    _talk(work)


def test_it_is_waited_for_until_it_is_read() -> None:
    async def work(writer: asyncio.StreamWriter, theirs: socket.socket) -> None:
        writer.write(TOLD)
        waits = asyncio.create_task(Unheard().wait_until(_program(), lambda: is_read(writer)))
        await asyncio.sleep(0.1)
        assert not waits.done()
        theirs.recv(len(TOLD))
        await asyncio.wait_for(waits, 10)

    _talk(work)


def test_a_program_that_is_never_up_to_date_has_heard_what_lies_before_a_call_that_it_answers() -> None:
    async def work(writer: asyncio.StreamWriter, _: socket.socket) -> None:
        bridge = Bridge.__new__(Bridge)
        bridge.__dict__.update(_writer=writer, _answered={}, _newest=6, _spoken_of=0)
        writer.write(TOLD)
        for number, is_heard in ((4, False), (6, False), (8, True)):
            bridge.__dict__.update(_newest=8)
            await bridge._take_answer(Done(id=number), 1)
            assert bridge._has_heard(6) is is_heard

    _talk(work)


def test_of_more_calls_than_the_kernel_charges_nobody_waits() -> None:
    async def work(writer: asyncio.StreamWriter, _: socket.socket) -> None:
        unheard = Unheard()
        tasks = [asyncio.create_task(unheard.wait_until(_program(), lambda: False)) for _ in range(WAITING_MOST)]
        await asyncio.sleep(0)
        await asyncio.wait_for(unheard.wait_until(_program(), lambda: False), 10)
        tasks.pop().cancel()  # as at the end of the run
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(unheard.wait_until(_program(), lambda: False)))
        await asyncio.sleep(0.05)
        assert not tasks[-1].done()
        for task in tasks:
            task.cancel()

    _talk(work)


def test_as_many_calls_wait_as_the_kernel_charges() -> None:
    assert WAITING_MOST == UNHEARD_MOST
