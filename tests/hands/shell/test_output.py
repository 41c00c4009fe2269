"""What the two outputs of a command line come to when those who could write are gone, and an end of the pipe is not."""

import asyncio
import os
from typing import Final

import pytest

from tests.hands.doubles import hand_module

shell_output = hand_module("shell", "shell_output")
WITHIN: Final = 10


@pytest.mark.parametrize("size", [0, 1, 60_000])
def test_an_end_of_the_pipe_that_nobody_uses_does_not_keep_it_open(size: int) -> None:
    async def found() -> bytes:
        read, write = os.pipe()
        reader = await shell_output.Reader(read).open()
        os.write(write, b"x" * size)
        ending = asyncio.create_task(reader.end_when_empty())
        try:
            return bytes(await asyncio.wait_for(reader.stream.read(-1), WITHIN))
        finally:
            await ending
            os.close(write)

    assert asyncio.run(found()) == b"x" * size


def test_a_slow_reader_gets_all_of_it() -> None:
    async def found() -> int:
        read, write = os.pipe()
        reader = await shell_output.Reader(read).open()
        os.set_blocking(write, False)
        written, got = os.write(write, b"x" * (1 << 20)), 0
        ending = asyncio.create_task(reader.end_when_empty())
        while piece := await asyncio.wait_for(reader.stream.read(1000), WITHIN):
            got += len(piece)
            await asyncio.sleep(0.001)
        await ending
        os.close(write)
        assert got == written
        return got

    assert asyncio.run(found()) > 32 * 1024
