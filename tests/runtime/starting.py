"""How the process of a Hand under test is started (acts): forked from one that has its imports, or executed anew.

Its imports are nine tenths of what a short test's Hand costs, so one process (forking.py) has them and forks for each Hand,
as a kernel's template does. Each Hand is a process of its own either way, with its standard input, log, folder and bus.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
ENVIRONMENT: Final = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

_links: list[socket.socket] = []
"""To the process that forks, when it has been started."""


class Forked:
    """Such a process: what tests use of subprocess.Popen. told: tells its process id, and how it ended."""

    def __init__(self, told: int) -> None:
        self._told = os.fdopen(told, "rb", buffering=0)
        self.pid = int(self._line())
        self._code: int | None = None

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            part = self._told.read(1)
            assert part, "the process that forks Hands is gone"
            line += part
        return line

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises TimeoutError."""
        if self._code is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise TimeoutError(f"process {self.pid} goes on after {timeout} s")
            self._code = int(self._line())
            self._told.close()
        return self._code

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        if self._code is None:
            self.send_signal(signal.SIGKILL)


def executed(start: bytes, log: int, folder: Path, bus: int) -> "subprocess.Popen[bytes]":
    """A Hand that warms itself up as the template does. start: its Start; log: takes its words; bus: keeps its number."""
    process = subprocess.Popen(
        _program("child.py", "warm"),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=folder,
        env=ENVIRONMENT,
        pass_fds=(bus,),
    )
    assert process.stdin is not None
    process.stdin.write(start)
    process.stdin.close()
    return process


def forked(start: bytes, log: int, folder: Path, bus: int) -> Forked:
    """The same, forked from one that is warm."""
    if not _links:
        _links.append(_server())
    asked = json.dumps({"folder": str(folder), "bus": bus}).encode()
    (stdin, given), (told, tells) = os.pipe(), os.pipe()
    try:
        socket.send_fds(_links[0], [asked], [stdin, log, bus, tells])
    finally:
        os.close(stdin)
        os.close(tells)
    with os.fdopen(given, "wb") as pipe:
        pipe.write(start)
    return Forked(told)


def _server() -> socket.socket:
    link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        subprocess.run(_program("forking.py", str(number)), env=ENVIRONMENT, pass_fds=[number], check=True)
    return link


def _program(file: str, word: str) -> list[str]:
    return [sys.executable, "-P", str(ROOT / "tests/runtime" / file), word]


def end() -> None:
    """End the process that forks."""
    while _links:
        with _links.pop() as link:
            link.shutdown(socket.SHUT_WR)
            link.recv(1)  # it is gone
