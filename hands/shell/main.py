"""The Hand `shell`: runs one command line per run, fresh and confined, which ends with the run (acts).

Provides shell.run; HAND.toml and README.md list what it takes and returns. What a command line can reach is decided by
the run's confinement (docs/command.md), not here; this code is process 1 of that run.
"""

import asyncio
import errno
import os
import resource
import signal
import time
from collections.abc import Mapping
from typing import Final

from runtime import Call, Failure, Hand, programs
from shell_output import LARGEST_KEPT, Output, Reader

SPARE: Final = 0.3
"""Seconds kept free before the call's deadline for the reply."""

KEPT: Final = 64 * 1024
STREAMED: Final = 64 * 1024 * 1024
"""Default `most` of each of the two outputs, in bytes: in a reply, and streamed."""

_LONGEST: Final = 128 * 1024 - 1  # bytes, the most that Linux gives a program as one argument
_LIMITED: Final = 'ulimit -d "$0"; exec /bin/sh -c -- "$1"'
_OUT, _ERR = 1, 2


class Shell(Hand):
    """Provides shell.run."""

    async def run(
        self,
        call: Call,
        command: str,
        timeout: float | None = None,  # noqa: ASYNC109 (a param of the method)
        memory: int | None = None,
        most: int | None = None,
        stream: bool = False,
    ) -> dict[str, object]:
        """shell.run: runs `command`. timeout: seconds; memory: bytes of each process; most: bytes of each output."""
        allowed = _allowed_memory()
        if memory is not None and not 0 < memory <= allowed:
            raise Failure("arguments", f"memory is at most {allowed} bytes, which this Hand has itself")
        if most is not None and not stream and most > LARGEST_KEPT:
            raise Failure("arguments", f"most is at most {LARGEST_KEPT} bytes without stream")
        bound = most if most is not None else STREAMED if stream else KEPT
        if timeout is not None and not timeout > 0:
            raise Failure("arguments", "timeout must be above 0 seconds")
        outputs = [Output(call, number, bound, is_streamed=stream) for number in (_OUT, _ERR)]
        wanted = self.settings.of("timeout", float) if timeout is None else timeout
        seconds = min(wanted, call.deadline / 1000 - SPARE)
        begun = time.monotonic()
        status, timed_out = await _run(_command(command, memory), self.surroundings, seconds, outputs)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        reply: dict[str, object] = {
            "timed_out": timed_out,
            "cut": any(output.is_cut for output in outputs),
            "cpu_us": round((used.ru_utime + used.ru_stime) * 1_000_000),
            "memory": used.ru_maxrss * 1024,
            "wall_us": round((time.monotonic() - begun) * 1_000_000),
        }
        if os.WIFSIGNALED(status):
            reply["signal"] = programs.signal_name(os.WTERMSIG(status))
        else:
            reply["exit_status"] = os.waitstatus_to_exitcode(status)
        if not stream:
            reply |= {"stdout": outputs[0].text, "stderr": outputs[1].text}
        return reply


async def _run(
    command: list[str], surroundings: Mapping[str, str], seconds: float, outputs: list[Output]
) -> tuple[int, bool]:
    """(wait status of the shell, whether it timed out). Every process that it started has ended when this returns."""
    pipes = [os.pipe() for _ in outputs]
    try:
        given = {number: written for number, (_, written) in zip((_OUT, _ERR), pipes, strict=True)}
        program = programs.Program(command, surroundings, given)
    except (OSError, ValueError) as error:  # arguments too long, or a NUL byte
        for read, _ in pipes:
            os.close(read)
        raise Failure("arguments", f"the command cannot be run: {_why_not(error)}") from None
    finally:
        for _, written in pipes:
            os.close(written)
    readers = [await Reader(read).open() for read, _ in pipes]
    async with asyncio.TaskGroup() as group:
        for output, reader in zip(outputs, readers, strict=True):
            group.create_task(output.take(reader.stream))
        try:
            status = await program.wait(seconds)
            timed_out = status is None
            if status is None:
                programs.signal_all(signal.SIGKILL)
                status = await program.wait()
        finally:
            await programs.end_all()
            for reader in readers:
                group.create_task(reader.end_when_empty())
    assert status is not None
    return status, timed_out


def _why_not(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return f"it is longer than {_LONGEST:,} bytes; put what is long into a file of your scratch folder before"
    return str(error)


def _command(command: str, memory: int | None) -> list[str]:
    """The shell, for which what follows -- is a command line and no option, whatever it begins with."""
    if memory is None:
        return ["/bin/sh", "-c", "--", command]
    return ["/bin/sh", "-c", "--", _LIMITED, str(memory // 1024), command]


def _allowed_memory() -> int:
    return resource.getrlimit(resource.RLIMIT_DATA)[0]
