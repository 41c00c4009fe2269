"""Signals for a command that must clean up before it ends (acts: sets this process's signal handlers).

Within the block SIGINT, SIGHUP and SIGTERM all raise KeyboardInterrupt, unless the process ignores them. After the
clean-up, `end` lets SIGHUP or SIGTERM end the process as it would have. In the main thread only.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


class Interrupts:
    """A block in which these signals raise KeyboardInterrupt."""

    def __init__(self) -> None:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self._ending = 0
        self._is_deferring = self._has_pending = False

    def __enter__(self) -> Self:
        for number, before in self._before.items():
            if before is not signal.SIG_IGN:
                signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer the first signal to the end of a step that must not be left half done; a second one raises at once."""
        self._is_deferring = True
        try:
            yield
        finally:
            self._is_deferring = False
            if self._has_pending:
                raise KeyboardInterrupt

    def end(self) -> None:
        """End this process by the signal that came, unless that was SIGINT or none."""
        if self._ending:
            signal.signal(self._ending, signal.SIG_DFL)
            os.kill(os.getpid(), self._ending)

    def _receive(self, number: int, _: object) -> None:
        if number != signal.SIGINT:
            if self._ending:  # shells, timeout(1) and service managers send these twice
                return
            self._ending = number
        if self._is_deferring and not self._has_pending:
            self._has_pending = True
            return
        raise KeyboardInterrupt
