"""A command at a terminal of its own (acts), for tests of what only people are told and asked."""

import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.cli.shell import MANIPLE, WITHIN, Shell


class Terminal:
    """A command at a terminal of its own. said: all that it has written."""

    def __init__(self, shell: Shell, *words: str | Path) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [*MANIPLE, *map(str, words)], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=shell.environment(TERM="xterm"),
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
