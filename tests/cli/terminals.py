"""A command at a terminal of its own (acts), for tests of what only people are told and asked."""

import os
import pty
import re
import subprocess
import termios
from contextlib import suppress
from pathlib import Path

from tests.cli.shell import MANIPLE, WITHIN, Shell


class Terminal:
    """A command at a terminal of its own, of so many columns and lines. said: all that it has written.

    into: what stdout goes to, if not to the terminal.
    """

    def __init__(self, shell: Shell, *words: str | Path, columns: int = 80, lines: int = 24, into: int = -1) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        self._process = subprocess.Popen(
            [*MANIPLE, *map(str, words)], stdin=theirs, stdout=theirs if into == -1 else into, stderr=theirs,
            start_new_session=True, env=shell.environment(TERM="xterm"),
        )  # fmt: skip
        os.close(theirs)
        self.said = ""

    def answer(self, asked: str, typed: str) -> None:
        """Type something as soon as it is asked for."""
        while asked not in self.said:
            self.said += os.read(self._ours, 65536).decode()
        os.write(self._ours, typed.encode())

    def end(self) -> int:
        """Read all that it still writes; its exit code."""
        with suppress(OSError):  # the other side is closed: its process has ended
            while piece := os.read(self._ours, 65536):
                self.said += piece.decode()
        os.close(self._ours)
        return self._process.wait(WITHIN)

    def widest(self) -> int:
        """Columns of the widest line that it has drawn over another one so far."""
        return max(map(len, re.findall(r"\x1b\[K([^\x1b\r\n]*)", self.said)))
