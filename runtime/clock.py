"""The clock, randomness and alarm of a deterministic run, one that can be resumed (acts on the modules `time` and `uuid`).

The clock moves only with the run's messages, each of which carries the kernel's time; to wait until a time, the run has the
kernel send a message then. So a run that gets the same messages sees the same times, and draws the same random numbers,
since its seed is the same. Python's own `time`, `random` and `uuid4` follow in such a run. What cannot be bound are
`datetime.now`, `secrets` and `os.urandom`: instead, a Hand has `self.now`, `self.uuid` and `self.random`.
"""

import math
import random
import time
from collections.abc import Callable
from typing import Final

from wire import limits
from wire.headers import FromKernel, Hello, Still, Stop

_LONGEST: Final = limits.DEADLINE_MAX // 2
"""Most milliseconds of one alarm; a longer wait takes several."""

_UNRECORDED: Final = (Hello, Still, Stop)
"""Messages about one process of a run, which are not on its tape."""

Ask = Callable[[int, Callable[[bool], None]], Callable[[], None]]
"""Calls.alarm: has a message sent after so many milliseconds, then calls the second argument with whether it was due.
Returns a function that cancels this.
"""


class RecordedClock:
    """A clock that moves with the run's recorded messages. start: microseconds since 1970."""

    def __init__(self, start: int) -> None:
        self._micros = start
        self._ask: Ask | None = None
        self._alarm: tuple[int, Callable[[], None]] | None = None

    def attend(self, ask: Ask) -> None:
        """Sets the function that sets alarms."""
        self._ask = ask

    def take(self, header: FromKernel) -> None:
        """Moves the clock to a message's time, if the message is recorded."""
        if not isinstance(header, _UNRECORDED) and header.time > self._micros:
            self._micros = header.time

    def micros(self) -> int:
        """Microseconds since 1970."""
        return self._micros

    def seconds(self) -> float:
        """Seconds since 1970."""
        return self._micros / 1_000_000

    def wake_after(self, seconds: float) -> None:
        """Has a message sent so many seconds from now, unless one is due before."""
        milliseconds = min(_LONGEST, max(0, math.ceil(seconds * 1000)))
        moment = self._micros + milliseconds * 1000
        if self._ask is None or (self._alarm is not None and self._alarm[0] <= moment):
            return
        if self._alarm is not None:
            self._alarm[1]()
        self._alarm = (moment, self._ask(milliseconds, lambda is_due: self._ring(moment, is_due=is_due)))

    def _ring(self, moment: int, *, is_due: bool) -> None:
        if is_due:  # max(): the kernel's clock may have been set back meanwhile
            self._micros = max(self._micros, moment)
        if self._alarm is not None and self._alarm[0] == moment:
            self._alarm = None

    def bind(self) -> None:
        """Makes Python's clocks and uuid4 follow this one. `random` has its seed already."""
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
        """Wraps a function of `time` so that its argument, seconds since 1970, defaults to this clock's."""
        return lambda seconds=None: of(self.seconds() if seconds is None else seconds)


def _of_local(of: Callable[..., str]) -> Callable[..., str]:
    """Wraps a function of `time` so that its last argument, a struct_time, defaults to the (bound) local time."""
    wanted = 1 if of.__name__ == "strftime" else 0
    return lambda *given: of(*given, *([] if len(given) > wanted else [time.localtime()]))


class OwnClock:
    """The machine's clock, for a run that cannot be resumed."""

    @staticmethod
    def micros() -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000
