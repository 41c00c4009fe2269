"""What is said while something takes long (acts): on a terminal a line, drawn anew; elsewhere, once, a line that stays."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kernel.cli import screen
from kernel.cli.frame import Session

SOON: Final = 3.0
"""Seconds after which it is said where no line can be drawn."""

_WIDEST: Final = 78


class Line:
    """One line on stderr, in the place of the one before; nothing where that is no terminal."""

    def __init__(self) -> None:
        self.draws = screen.is_terminal(sys.stderr)
        self._is_drawn = False

    def draw(self, seconds: float, text: str) -> None:
        """How long it has taken already, and for what."""
        if self.draws:
            line = f"{screen.duration(seconds)}  {screen.visible(text)}"
            self._is_drawn = self._wrote(screen.cut(line, min(_WIDEST, screen.room(sys.stderr).columns - 1)))

    def clear(self) -> None:
        """Take the line away."""
        if self._is_drawn:
            self._wrote("")
        self._is_drawn = False

    def _wrote(self, line: str) -> bool:
        """Whether it could be: not on a terminal that has closed."""
        try:
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()
        except OSError:
            self.draws = False
        return self.draws


@contextmanager
def waiting(session: Session, what: str) -> Iterator[Callable[[], None]]:
    """For a `with` around calls that may take long: what their `tick` is to be. what: what is waited for."""
    line, began, is_said = Line(), time.monotonic(), False

    def tick() -> None:
        nonlocal is_said
        seconds = time.monotonic() - began
        if line.draws:
            line.draw(seconds, f"waiting for {what}")
        elif seconds >= SOON and not is_said:
            is_said = True
            session.say(screen.visible(f"Waiting for {what}; Ctrl-C gives it up."))

    try:
        yield tick
    finally:
        line.clear()
