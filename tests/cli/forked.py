"""Runs commands of `maniple` in processes forked with the imports loaded (acts): imports are most of a short one's cost.

Each is still a process of its own, with its words, folder, environment and standard descriptors, and runs __main__.py from
its first line; but a server (forking.py) forks it, and a kernel that it starts is forked, too, as all kernels of tests. A
server runs one command at a time, so parallel commands have one server each. Tests about process starts use exec.
"""

import json
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests import living

STDIN_MAX: Final = select.PIPE_BUF
"""Most bytes of stdin that a command may get: what a pipe takes before anybody reads."""

_idle: "list[Server]" = []


def run(
    words: list[str], stdin: bytes, folder: str, environment: dict[str, str], within: float
) -> tuple[int, bytes, bytes]:
    """Run a command; returns exit code, stdout and stderr. After `within` seconds, kills it and raises TimeoutError."""
    request = {"words": words, "stdin": stdin.decode("latin-1"), "folder": folder, "environment": environment}
    server = _idle.pop() if _idle else Server(environment)
    try:
        ran = server.run(json.dumps(request).encode(), within)
    except BaseException:
        server.end()
        raise
    _idle.append(server)
    return ran


def end() -> None:
    """End all servers."""
    while _idle:
        _idle.pop().end()


class Server:
    """One server. environment: for its own start; commands do not see it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._link, theirs = socket.socketpair()
        self._answers = self._link.makefile("rb")
        pipe = subprocess.PIPE  # for its standard streams, which its children have
        with theirs:
            links = [theirs.fileno(), *([living.kernel_forks.link().fileno()] if living.kernel_forks else [])]
            program = [sys.executable, "-I", str(Path(__file__).with_name("forking.py")), *map(str, links)]
            self._process = subprocess.Popen(
                program, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=links, env=environment
            )
        self._process.wait()
        self.pid = int(self._answers.readline())

    def run(self, request: bytes, within: float) -> tuple[int, bytes, bytes]:
        """Run one command, as the function above. Raises RuntimeError with the server's stderr if it has ended."""
        self._link.settimeout(within)
        try:
            self._link.sendall(request + b"\n")
            answer = self._answers.readline()
        except ConnectionError:
            answer = b""
        if not answer:
            raise RuntimeError(f"the server of commands has ended: {self._process.communicate()[1].decode()}")
        ran = json.loads(answer)
        return ran["code"], ran["out"].encode("latin-1"), ran["err"].encode("latin-1")

    def end(self) -> None:
        """End the server, and its running command, if any."""
        self._answers.close()
        self._link.close()
        self._process.communicate()
