"""Processes of tests that are forked from one that has their imports (acts): most of what a short one costs is those.

Each is a process of its own all the same, with its descriptors, folder, environment and, if it likes, session, as a run's
is that the template forks. What a test says of a start itself takes exec.
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
    """Such a process: what tests use of subprocess.Popen. told: tells its process id, and how it ended."""

    def __init__(self, told: int) -> None:
        self._told = os.fdopen(told, "rb", buffering=0)
        self.pid = int(self._line())
        self.returncode: int | None = None

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            part = self._told.read(1)
            assert part, "the process that forks is gone"
            line += part
        return line

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises TimeoutError."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise TimeoutError(f"process {self.pid} goes on after {timeout} s")
            self.returncode = int(self._line())
            self._told.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, None while it goes on."""
        with suppress(TimeoutError):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Not when it has ended: its process id may be another's by now."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forks:
    """A process that forks others, started when the first is wanted."""

    def __init__(self, *modules: str) -> None:
        """modules: what it imports."""
        self._modules = modules
        self._link: socket.socket | None = None

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
        """A process that calls the main() of a module with these arguments.

        descriptors: by the number that each gets there, and it has no other. folder: where it begins.
        """
        asked = {
            "module": module,
            "arguments": list(arguments),
            "numbers": list(descriptors),
            "folder": os.path.abspath(folder),
            "environment": dict(environment),
            "own_session": own_session,
        }
        if self._link is None:
            self._link = self._server()
        told, tells = os.pipe()
        try:
            socket.send_fds(self._link, [json.dumps(asked).encode()], [*descriptors.values(), tells])
        finally:
            os.close(tells)
        return Forked(told)

    def end(self) -> None:
        """End the process that forks; what it forked goes on."""
        if self._link is not None:
            with self._link:
                self._link.shutdown(socket.SHUT_WR)
                self._link.recv(1)  # it is gone
            self._link = None

    def _server(self) -> socket.socket:
        link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            path = ":".join(filter(None, dict.fromkeys([str(ROOT), *sys.path])))
            number = theirs.fileno()
            program = [sys.executable, "-I", "-c", STARTER, path, "tests.forking", str(number), *self._modules]
            subprocess.run(program, stdin=subprocess.DEVNULL, pass_fds=[number], check=True)
        return link
