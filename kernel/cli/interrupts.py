"""What interrupts a command that has begun something which must be ended first (acts on this process's signals).

Within the block Ctrl-C, a terminal that closes and SIGTERM all raise KeyboardInterrupt, unless they are to be ignored;
`end` then ends the process as the last two do without. In the main thread only.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


class Interrupts:
    """Those of one block."""

    def __init__(self) -> None:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self._ending = 0
        self._waits = self._came = False

    def __enter__(self) -> Self:
        for number, before in self._before.items():
            if before is not signal.SIG_IGN:
                signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def later(self) -> Iterator[None]:
        """What comes within is heard at its end, so that nothing is left half begun; a second Ctrl-C is heard at once."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
            if self._came:
                raise KeyboardInterrupt

    def end(self) -> None:
        """End this process, if something else than Ctrl-C came."""
        if self._ending:
            signal.signal(self._ending, signal.SIG_DFL)
            os.kill(os.getpid(), self._ending)

    def _hear(self, number: int, _: object) -> None:
        if number != signal.SIGINT:
            if self._ending:  # shells, timeout(1) and service managers send them twice
                return
            self._ending = number
        if self._waits and not self._came:
            self._came = True
            return
        raise KeyboardInterrupt
