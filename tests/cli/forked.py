"""Commands of `maniple` out of processes that have the imports already (acts): most of what a short one costs is those.

Each is a process of its own here too, with its words, folder, environment and standard descriptors, and runs __main__.py
from its first line; but a server (forking.py) forks it. A server has one command at a time, so commands side by side have
one each. What is about a start itself takes exec.
"""

import json
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

LONGEST: Final = select.PIPE_BUF
"""Bytes of standard input that a command may be given: as many as a pipe takes that nobody reads yet."""

_idle: "list[Server]" = []


def run(
    words: list[str], stdin: bytes, folder: str, environment: dict[str, str], within: float
) -> tuple[int, bytes, bytes]:
    """Its exit code, output and words, as of subprocess.run. Raises TimeoutError when it takes longer, and kills it."""
    asked = {"words": words, "stdin": stdin.decode("latin-1"), "folder": folder, "environment": environment}
    server = _idle.pop() if _idle else Server(environment)
    try:
        ran = server.run(json.dumps(asked).encode(), within)
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
    """One of them. environment: of its own start, nothing of which a command sees."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._link, theirs = socket.socketpair()
        self._answers = self._link.makefile("rb")
        pipe = subprocess.PIPE  # for its standard streams, which its children have
        with theirs:
            program = [sys.executable, "-I", str(Path(__file__).with_name("forking.py")), str(theirs.fileno())]
            self._process = subprocess.Popen(
                program, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=[theirs.fileno()], env=environment
            )
        self._process.wait()
        self.pid = int(self._answers.readline())

    def run(self, asked: bytes, within: float) -> tuple[int, bytes, bytes]:
        """As the function does. Raises RuntimeError with the server's last words when it is gone."""
        self._link.settimeout(within)
        try:
            self._link.sendall(asked + b"\n")
            answer = self._answers.readline()
        except ConnectionError:
            answer = b""
        if not answer:
            raise RuntimeError(f"the server of commands is gone: {self._process.communicate()[1].decode()}")
        ran = json.loads(answer)
        return ran["code"], ran["out"].encode("latin-1"), ran["err"].encode("latin-1")

    def end(self) -> None:
        """End it, and the command that it may have."""
        self._answers.close()
        self._link.close()
        self._process.communicate()
