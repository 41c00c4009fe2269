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
_SELDOM: Final = 30.0
"""Seconds between two looks of who waits for long."""


class Looks:
    """When to look once more at what only the kernel knows: each call of a look is two entries of the log, for ever.

    At first each second, then after a twentieth of the time that was waited already, and half a minute at most.
    """

    def __init__(self, now: float) -> None:
        self._began, self._next = now, now

    def due(self, now: float) -> bool:
        """Whether it is time; it is taken as done then."""
        if now < self._next:
            return False
        self._next = now + min(_SELDOM, max(0.9, (now - self._began) / 20))
        return True


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
