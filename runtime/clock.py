"""The clock, chance and alarm of a run that can be gone through again (acts on the modules `time` and `uuid`).

The clock moves only with what the run is told: each message carries the kernel's time. Whoever waits for a moment has
the kernel send a message then. So a run that is told the same meets the same times, and what it draws is the same, for
its seed is. Python's own `time`, `random` and `uuid4` follow them in such a run; what cannot be bound is `datetime.now`,
`secrets` and `os.urandom`, for which a Hand has `self.now`, `self.uuid` and `self.random`.
"""

import math
import random
import time
from collections.abc import Callable
from typing import Final

from wire import limits
from wire.headers import FromKernel, Hello, Still, Stop

_LONGEST: Final = limits.DEADLINE_MAX // 2
"""Milliseconds that are slept in one go; a longer sleep is several."""

_UNTOLD: Final = (Hello, Still, Stop)

Ask = Callable[[int, Callable[[bool], None]], Callable[[], None]]
"""Has a message sent after so many milliseconds, with what to call then, given whether it was; gives what takes it back."""


class ToldClock:
    """A clock that is told. start: microseconds since 1970."""

    def __init__(self, start: int) -> None:
        self._micros = start
        self._ask: Ask | None = None
        self._alarm: tuple[int, Callable[[], None]] | None = None

    def attend(self, ask: Ask) -> None:
        """From now on alarms are set in this way."""
        self._ask = ask

    def take(self, header: FromKernel) -> None:
        """A message has come. What one process is told of itself is no part of what every one is told."""
        if not isinstance(header, _UNTOLD) and header.time > self._micros:
            self._micros = header.time

    def micros(self) -> int:
        """Microseconds since 1970."""
        return self._micros

    def seconds(self) -> float:
        """Seconds since 1970."""
        return self._micros / 1_000_000

    def wake_after(self, seconds: float) -> None:
        """Have a message come so many seconds from now, unless one is to come before."""
        milliseconds = min(_LONGEST, max(0, math.ceil(seconds * 1000)))
        moment = self._micros + milliseconds * 1000
        if self._ask is None or (self._alarm is not None and self._alarm[0] <= moment):
            return
        if self._alarm is not None:
            self._alarm[1]()
        self._alarm = (moment, self._ask(milliseconds, lambda is_due: self._ring(moment, is_due=is_due)))

    def _ring(self, moment: int, *, is_due: bool) -> None:
        if is_due:  # also when the kernel's clock was set back meanwhile
            self._micros = max(self._micros, moment)
        if self._alarm is not None and self._alarm[0] == moment:
            self._alarm = None

    def bind(self) -> None:
        """Let Python's own clocks and uuid4 follow; random has been given its seed before."""
        import uuid

        def nanoseconds() -> int:
            return self._micros * 1000

        for name in ("time", "monotonic", "perf_counter"):
            setattr(time, name, self.seconds)
            setattr(time, f"{name}_ns", nanoseconds)
        for name in ("gmtime", "localtime", "ctime"):
            setattr(time, name, self._of_now(getattr(time, name)))
        for name in ("strftime", "asctime"):
            setattr(time, name, _of_local(getattr(time, name)))
        uuid.uuid4 = lambda: uuid.UUID(int=random.getrandbits(128), version=4)

    def _of_now(self, of: Callable[..., object]) -> Callable[..., object]:
        """A function of Python's that takes seconds since 1970, or else the machine's own."""
        return lambda seconds=None: of(self.seconds() if seconds is None else seconds)


def _of_local(of: Callable[..., str]) -> Callable[..., str]:
    """A function of Python's that takes the parts of a time last, or else the machine's own."""
    wanted = 1 if of.__name__ == "strftime" else 0
    return lambda *given: of(*given, *([] if len(given) > wanted else [time.localtime()]))


class OwnClock:
    """The machine's clock, for a run that starts empty each time."""

    @staticmethod
    def micros() -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000
