"""Programs of the system, started below process 1 of a run (acts): how each is started, waited for and ended.

Used by the bridge of a `command` Hand, and by the Hand `shell`. Process 1 of a PID namespace can end all others with
one signal, and is the parent of every orphan; so nothing that a program leaves behind outlives it.
"""

import asyncio
import errno
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from manifests.schema import PROGRAM_FOLDERS

_RESTORED: Final = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM)
"""What Python, or the template, ignores; a program starts with every signal as it is by default."""

_AGAIN: Final = 0.005  # seconds until those that were killed are looked for again


_LONGEST_LINE: Final = 256  # bytes of a script's first line, of which no system reads more

PROXY: Final = "http://127.0.0.1:3128"
"""Where runtime/proxy.py is, in the run's own network namespace (manifests/confinement/plan.py)."""


def environment(scratch: str, *, has_proxy: bool) -> dict[str, str]:
    """All that a program's environment holds. has_proxy: some hosts can be reached, through the run's proxy."""
    proxies = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy") if has_proxy else ()
    return {
        "PATH": ":".join(PROGRAM_FOLDERS), "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",  # git gives up at a configuration that it may not read
        **dict.fromkeys(proxies, PROXY),
    }  # fmt: skip


def found(name: str) -> str:
    """The path of a program: a name is one in PROGRAM_FOLDERS, `./name` one of the working folder. OSError if none."""
    if "/" in name:
        return name
    for folder in PROGRAM_FOLDERS:
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"there is no program {name} in {', '.join(PROGRAM_FOLDERS)}")


def why_not(program: str, error: OSError) -> str:
    """Why a program cannot be started, for people: of a script the system says what is true of its interpreter."""
    if error.errno == errno.ENOEXEC:
        return (
            'it is not a program of this machine\'s kind, and no script whose first line says of which, as "#!/bin/sh"'
        )
    first = _first_line(program) if "/" in program and error.errno in (errno.ENOENT, errno.EACCES) else ""
    if first.startswith("#!"):
        interpreter = first[2:].strip(" \t").partition(" ")[0]
        if interpreter.endswith("\r"):
            return "its first line ends in a carriage return, as on Windows: no program is called so"
        if error.errno == errno.ENOENT:
            return f"its first line names {interpreter}, and there is no such program"
        return f"its first line names {interpreter}, which it may not execute"
    return error.strerror or str(error)


def _first_line(path: str) -> str:
    """Of a file, without its end; "" for none."""
    try:
        with open(path, "rb") as file:
            return file.readline(_LONGEST_LINE).decode("utf-8", "replace").removesuffix("\n")
    except OSError:
        return ""


class Program:
    """A started program: a session of its own, and no descriptor but those it was given.

    From the first on, this run collects orphans at once: until then they count among its processes. So whoever starts
    programs starts all of them so; another's wait for a child of his own could come too late.
    """

    def __init__(self, command: Sequence[str], surroundings: Mapping[str, str], given: Mapping[int, int]) -> None:
        """Start it in the working folder. given: number in the program → descriptor here. OSError if it cannot be."""
        loop = asyncio.get_running_loop()
        actions = [(os.POSIX_SPAWN_DUP2, mine, number) for number, mine in given.items()]
        path = found(command[0])
        self.pid = os.posix_spawn(
            path, list(command), surroundings, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_RESTORED
        )
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:  # this run's descriptors are used up: nobody would hear of its end, or end it
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
        self._has_ended(status)

    def _has_ended(self, status: int) -> None:
        """It was reaped, whoever did it."""
        del _running[self.pid]
        self.ended.get_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.ended.set_result(status)

    async def wait(self, seconds: float | None = None) -> int | None:
        """Its status as waitpid gives it; None when it still runs after so many seconds."""
        await asyncio.wait((self.ended,), timeout=seconds)
        return self.ended.result() if self.ended.done() else None


_running: Final[dict[int, Program]] = {}
"""By process id, those that nobody has reaped yet."""


def reap() -> bool:
    """Collect every process below this one that has ended, and tell a Program of its own end; whether none is left."""
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if (program := _running.get(ended[0])) is not None:
                program._has_ended(ended[1])
    except ChildProcessError:
        return True
    return False


def signal_all(number: int) -> None:
    """Send a signal to every process of this run but this one, which must be the first of a PID namespace."""
    if os.getpid() != 1:
        raise RuntimeError("this would reach processes that are no program's of this run")
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        pass  # there is none


async def end_all() -> None:
    """End every process of this run but this one, at once, and reap them; their usage then counts among the children's."""
    signal_all(signal.SIGKILL)
    while not reap():
        await asyncio.sleep(_AGAIN)
        signal_all(signal.SIGKILL)


def words_of(status: int) -> str:
    """How a program ended, in words."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal_name(os.WTERMSIG(status))}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


def signal_name(number: int) -> str:
    """SIGKILL; "signal 40" for one between SIGRTMIN and SIGRTMAX, which has no name."""
    return next((one.name for one in signal.Signals if one == number), f"signal {number}")
