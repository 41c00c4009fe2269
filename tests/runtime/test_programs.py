"""Programs below process 1 of a run: whoever collects one that has ended, whoever waits for it is told how."""

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kernel.runs import exit_text
from runtime import programs
from runtime.programs import Program

_NOTHING: Final = {"PATH": "/usr/bin:/bin"}


async def _ended_unseen(*command: str) -> Program:
    """A program that has ended while the loop did not look."""
    program = Program(command, _NOTHING, {})
    _let_end(program.pid)
    return program


def _let_end(pid: int) -> None:
    """Hold the loop until it has ended; it stays to be collected."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@contextlib.contextmanager
def _no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
    taken: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_program_whose_end_could_not_be_heard_does_not_go_on() -> None:
    async def start() -> None:
        with _no_descriptor_left():
            Program(("/bin/sleep", "60"), _NOTHING, {})

    with pytest.raises(OSError, match="Too many open files"):
        asyncio.run(start())
    assert programs.reap()


def test_a_program_that_is_collected_as_an_orphan_has_ended_with_its_own_status() -> None:
    async def found() -> int | None:
        program = await _ended_unseen("/bin/sh", "-c", "exit 7")
        assert programs.reap()
        return await program.wait(5)

    assert os.waitstatus_to_exitcode(asyncio.run(found()) or 0) == 7


def test_one_that_is_seen_first_is_told_once() -> None:
    async def found() -> int | None:
        program = await _ended_unseen("/bin/sh", "-c", "kill -KILL $$")
        status = await program.wait(5)
        assert programs.reap()
        return status

    assert os.WTERMSIG(asyncio.run(found()) or 0) == signal.SIGKILL


@pytest.mark.parametrize(
    ("line", "words"),
    [("exit 7", "exit code 7"), ("kill -TERM $$", "killed by SIGTERM"), ("kill -40 $$", "killed by signal 40")],
)
def test_how_a_program_ended_is_told_whatever_ended_it(line: str, words: str) -> None:
    async def found() -> int | None:
        return await Program(("/bin/sh", "-c", line), _NOTHING, {}).wait(30)

    status = asyncio.run(found())
    assert status is not None
    assert programs.words_of(status) == exit_text(status) == words


def test_orphans_are_collected_at_any_time_and_one_that_lives_is_left() -> None:
    async def found() -> int | None:
        program = Program(("/bin/sleep", "60"), _NOTHING, {})
        child = os.fork()
        if child == 0:
            os._exit(0)
        _let_end(child)
        assert not programs.reap()
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
        assert await program.wait(0.05) is None
        os.kill(program.pid, signal.SIGTERM)
        return await program.wait(5)

    begun = time.monotonic()
    assert os.WTERMSIG(asyncio.run(found()) or 0) == signal.SIGTERM
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"#!/no/such/interpreter -x\n", "its first line names /no/such/interpreter, and there is no such program"),
        (
            b"#!/bin/sh\r\necho\r\n",
            "its first line ends in a carriage return, as on Windows: no program has such a name",
        ),
        (b"#!/etc/passwd\n", "its first line names /etc/passwd, which it may not execute"),
        (
            b"echo hi\n",
            'it is neither a program for this machine nor a script with a first line such as "#!/bin/sh"',
        ),
        (None, "No such file or directory"),
    ],
)
def test_why_a_program_cannot_be_started_is_told(tmp_path: Path, first: bytes | None, why: str) -> None:
    """The system says that a script is not there when its interpreter is not."""
    path = tmp_path / "script"
    if first is not None:
        path.write_bytes(first)
        path.chmod(0o700)

    async def start() -> None:
        Program((str(path),), _NOTHING, {})

    with pytest.raises(OSError) as raised:
        asyncio.run(start())
    assert programs.why_not(str(path), raised.value) == why
