"""Starts, awaits and ends programs of the system, below process 1 of a run (acts).

Used by the bridge of a `command` Hand and by the Hand `shell`. Process 1 of a PID namespace can signal all others at once,
and is the parent of every orphan; so nothing that a program leaves behind outlives it.
"""

import asyncio
import errno
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from manifests.schema import PROGRAM_FOLDERS

_RESTORED: Final = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM)
"""Signals that Python or the template ignores; a program starts with the default handling of every signal."""

_AGAIN: Final = 0.005  # seconds between two attempts to reap killed processes


_LONGEST_LINE: Final = 256  # bytes of a script's first line; no system reads more

PROXY: Final = "http://127.0.0.1:3128"
"""The URL of runtime/proxy.py in the run's own network namespace (manifests/confinement/plan.py)."""


def environment(scratch: str, *, has_proxy: bool) -> dict[str, str]:
    """The whole environment of a program. has_proxy: some hosts can be reached, through the run's proxy."""
    proxies = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy") if has_proxy else ()
    return {
        "PATH": ":".join(PROGRAM_FOLDERS), "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",  # git aborts at a configuration that it may not read
        **dict.fromkeys(proxies, PROXY),
    }  # fmt: skip


def find_program(name: str) -> str:
    """A program's path: a bare name is searched in PROGRAM_FOLDERS; `./name` is in the working folder. Raises OSError."""
    if "/" in name:
        return name
    for folder in PROGRAM_FOLDERS:
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"there is no program {name} in {', '.join(PROGRAM_FOLDERS)}")


def why_not(program: str, error: OSError) -> str:
    """Why a program cannot be started, for people. For a script, the system's error is about its interpreter."""
    if error.errno == errno.ENOEXEC:
        return 'it is neither a program for this machine nor a script with a first line such as "#!/bin/sh"'
    first = _first_line(program) if "/" in program and error.errno in (errno.ENOENT, errno.EACCES) else ""
    if first.startswith("#!"):
        interpreter = first[2:].strip(" \t").partition(" ")[0]
        if interpreter.endswith("\r"):
            return "its first line ends in a carriage return, as on Windows: no program has such a name"
        if error.errno == errno.ENOENT:
            return f"its first line names {interpreter}, and there is no such program"
        return f"its first line names {interpreter}, which it may not execute"
    return error.strerror or str(error)


def _first_line(path: str) -> str:
    """A file's first line without its end; "" if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.readline(_LONGEST_LINE).decode("utf-8", "replace").removesuffix("\n")
    except OSError:
        return ""


class Program:
    """A started program, in a session of its own, with no descriptors but the given ones.

    From the first one on, this run reaps orphans at once; until then they count among its processes. So whoever starts
    programs must start all of them like this: another's wait for a child of his own could come too late.
    """

    def __init__(self, command: Sequence[str], surroundings: Mapping[str, str], given: Mapping[int, int]) -> None:
        """Starts it in the working folder. given: number in the program → descriptor here. Raises OSError."""
        loop = asyncio.get_running_loop()
        actions = [(os.POSIX_SPAWN_DUP2, mine, number) for number, mine in given.items()]
        path = find_program(command[0])
        self.pid = os.posix_spawn(
            path, list(command), surroundings, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_RESTORED
        )
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:  # out of descriptors: nobody would notice its end, or end it
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise
        self.ended: asyncio.Future[int] = loop.create_future()
        _running[self.pid] = self
        if os.getpid() == 1:
            loop.add_signal_handler(signal.SIGCHLD, reap)
        loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        self._set_ended(status)

    def _set_ended(self, status: int) -> None:
        """Notes that it was reaped, here or by reap()."""
        del _running[self.pid]
        self.ended.get_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.ended.set_result(status)

    async def wait(self, seconds: float | None = None) -> int | None:
        """Its status as of waitpid; None if it still runs after so many seconds."""
        await asyncio.wait((self.ended,), timeout=seconds)
        return self.ended.result() if self.ended.done() else None


_running: Final[dict[int, Program]] = {}
"""Programs that are not reaped yet, by process id."""


def reap() -> bool:
    """Reaps all ended processes below this one, and notes the end of Programs. Returns whether none is left."""
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if (program := _running.get(ended[0])) is not None:
                program._set_ended(ended[1])
    except ChildProcessError:
        return True
    return False


def signal_all(number: int) -> None:
    """Sends a signal to every process of this run but this one. Raises RuntimeError unless this is process 1."""
    if os.getpid() != 1:
        raise RuntimeError("this would reach processes outside of this run")
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        pass  # there are none


async def end_all() -> None:
    """Kills and reaps every process of this run but this one; their resource usage then counts as the children's."""
    signal_all(signal.SIGKILL)
    while not reap():
        await asyncio.sleep(_AGAIN)
        signal_all(signal.SIGKILL)


def words_of(status: int) -> str:
    """A program's end in words."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal_name(os.WTERMSIG(status))}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


def signal_name(number: int) -> str:
    """A signal's name, such as SIGKILL; "signal 40" for one between SIGRTMIN and SIGRTMAX, which have none."""
    return next((one.name for one in signal.Signals if one == number), f"signal {number}")
