"""Runs a command at a pseudo-terminal (acts), for tests of what only people are shown and asked."""

import os
import pty
import re
import subprocess
import termios
from contextlib import suppress
from pathlib import Path

from tests.cli.shell import COMMAND_S, MANIPLE, Shell


class Terminal:
    """A command at a terminal of a given size. output: everything it has written so far.

    stdout: a descriptor for its stdout, if that is not to be the terminal.
    """

    def __init__(self, shell: Shell, *words: str | Path, columns: int = 80, lines: int = 24, stdout: int = -1) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        self._process = subprocess.Popen(
            [*MANIPLE, *map(str, words)], stdin=theirs, stdout=theirs if stdout == -1 else stdout, stderr=theirs,
            start_new_session=True, env=shell.environment(TERM="xterm"),
        )  # fmt: skip
        os.close(theirs)
        self.output = ""

    def answer(self, prompt: str, typed: str) -> None:
        """Wait for a prompt in the output, then type the answer."""
        while prompt not in self.output:
            self.output += os.read(self._ours, 65536).decode()
        os.write(self._ours, typed.encode())

    def end(self) -> int:
        """Read the rest of the output; returns the exit code."""
        with suppress(OSError):  # EIO: the process has ended
            while piece := os.read(self._ours, 65536):
                self.output += piece.decode()
        os.close(self._ours)
        return self._process.wait(COMMAND_S)

    def widest(self) -> int:
        """Columns of the widest redrawn line so far."""
        return max(map(len, re.findall(r"\x1b\[K([^\x1b\r\n]*)", self.output)))
