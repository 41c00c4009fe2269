"""Forks processes for tests from one that has their imports loaded (acts): imports are most of a short process's cost.

Each is still a process of its own, with its descriptors, folder, environment and, if asked, session, like a run that the
template forks. Tests about process starts themselves use exec.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from kernel import STARTER

ROOT: Final = Path(__file__).resolve().parents[1]


class Forked:
    """A forked process, with the part of Popen that tests use. report: a descriptor that yields pid, then exit code."""

    def __init__(self, report: int) -> None:
        self._report = os.fdopen(report, "rb", buffering=0)
        self.pid = int(self._read_line())
        self.returncode: int | None = None

    def _read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            part = self._report.read(1)
            assert part, "the forking process has ended"
            line += part
        return line

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises TimeoutError."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise TimeoutError(f"process {self.pid} still runs after {timeout} s")
            self.returncode = int(self._read_line())
            self._report.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code; None while the process runs."""
        with suppress(TimeoutError):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended: its id may have been reused."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forks:
    """A process that forks others; it is started at the first fork()."""

    def __init__(self, *modules: str, link: socket.socket | None = None) -> None:
        """modules: what the forking process imports beforehand. link: to one that another process has started."""
        self._modules = modules
        self._link = link

    def link(self) -> socket.socket:
        """Return the link to the forking process, which other processes can inherit and use."""
        if self._link is None:
            self._link = self._start_server()
        return self._link

    def fork(
        self,
        module: str,
        arguments: Sequence[str],
        descriptors: Mapping[int, int],
        *,
        folder: str | Path = ".",
        environment: Mapping[str, str] = os.environ,
        own_session: bool = False,
    ) -> Forked:
        """Fork a process that calls the main() of a module with these arguments.

        descriptors: number in the new process to descriptor here; it gets no others. folder: its working folder.
        """
        request = {
            "module": module,
            "arguments": list(arguments),
            "numbers": list(descriptors),
            "folder": os.path.abspath(folder),
            "environment": dict(environment),
            "own_session": own_session,
        }
        link = self.link()
        report, reporter = os.pipe()
        try:
            socket.send_fds(link, [json.dumps(request).encode()], [*descriptors.values(), reporter])
        finally:
            os.close(reporter)
        return Forked(report)

    def end(self) -> None:
        """End the forking process; the processes that it forked go on."""
        if self._link is not None:
            with self._link:
                self._link.shutdown(socket.SHUT_WR)
                self._link.recv(1)  # returns when it has ended
            self._link = None

    def _start_server(self) -> socket.socket:
        link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            path = ":".join(filter(None, dict.fromkeys([str(ROOT), *sys.path])))
            number = theirs.fileno()
            program = [sys.executable, "-I", "-c", STARTER, path, "tests.forking", str(number), *self._modules]
            subprocess.run(program, stdin=subprocess.DEVNULL, pass_fds=[number], check=True)
        return link
