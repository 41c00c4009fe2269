"""Shows that a command is waiting (acts): on a terminal a status line that is redrawn; elsewhere one message."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kernel.cli import screen
from kernel.cli.frame import Session

SAY_AFTER: Final = 3.0
"""Seconds after which the message is printed where no line can be redrawn."""

_WIDTH: Final = 78
_LONGEST: Final = 30.0
"""Longest pause in seconds between two polls."""


class PollSchedule:
    """Decides when to poll the kernel, as each call of a poll adds two entries to the log for ever.

    The pause is a twentieth of the time waited so far: at first about a second, at most half a minute.
    """

    def __init__(self, now: float) -> None:
        self._began, self._next = now, now

    def due(self, now: float) -> bool:
        """Whether to poll now; if so, plans the next poll."""
        if now < self._next:
            return False
        self._next = now + min(_LONGEST, max(0.9, (now - self._began) / 20))
        return True


class StatusLine:
    """A line on stderr that is redrawn in place; nothing where stderr is not a terminal."""

    def __init__(self) -> None:
        self.draws = screen.is_terminal(sys.stderr)
        self._is_drawn = False

    def draw(self, seconds: float, text: str) -> None:
        """Redraw the line: time passed, and what is being done."""
        if self.draws:
            line = f"{screen.duration(seconds)}  {screen.visible(text)}"
            self._is_drawn = self._write(screen.cut(line, min(_WIDTH, screen.stream_size(sys.stderr).columns - 1)))

    def clear(self) -> None:
        """Erase the line."""
        if self._is_drawn:
            self._write("")
        self._is_drawn = False

    def _write(self, line: str) -> bool:
        """Write in place of the line; returns False, and stops drawing, if the terminal has closed."""
        try:
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()
        except OSError:
            self.draws = False
        return self.draws


@contextmanager
def waiting(session: Session, what: str) -> Iterator[Callable[[], None]]:
    """Yield the `tick` to pass to calls that may take long. what: what is being waited for."""
    line, began, has_said = StatusLine(), time.monotonic(), False

    def tick() -> None:
        nonlocal has_said
        seconds = time.monotonic() - began
        if line.draws:
            line.draw(seconds, f"waiting for {what}")
        elif seconds >= SAY_AFTER and not has_said:
            has_said = True
            session.say(screen.visible(f"Waiting for {what}; Ctrl-C gives it up."))

    try:
        yield tick
    finally:
        line.clear()
