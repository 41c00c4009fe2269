"""Outcomes of task runs, kept for a while, and callbacks that wait for them (values and callbacks; bounded)."""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from wire import codec, headers
from wire.codec import NIL
from wire.ids import OPERATOR
from wire.tape import Ended

KEPT: Final = 1_000
"""Most outcomes that are kept."""

VALUE_KEPT: Final = 64 * 1024
LARGE_KEPT: Final = 16 * 1024 * 1024
"""VALUE_KEPT: largest value, in bytes, that is kept as long as its outcome. LARGE_KEPT: bytes of all larger values together,
of which the latest are kept. Whoever waits before a run ends gets any value; but a starter often waits only later.
"""


class Outcome(Struct, frozen=True, kw_only=True):
    """How a run's work ended. body: its value in msgpack, None if too large to keep. labels: the value's."""

    header: headers.End
    body: bytes | None
    labels: frozenset[str]


def outcome_of(ended: Ended) -> Outcome:
    """Return the outcome that a tape's last record says. Raises CodecError."""
    header = codec.decode_from_kernel(ended.header)
    assert isinstance(header, headers.Done | headers.Failed | headers.Refused | headers.Cancelled)
    return Outcome(header=header, body=ended.body, labels=frozenset(ended.labels))


_GONE: Final = "run ended: the kernel ended before it, or its tape is gone"
LOST: Final = Outcome(header=headers.Failed(number=0, code="ended", text=_GONE), body=NIL, labels=frozenset())
"""The outcome of a run that has ended, nobody knows how."""


class Work(Struct, kw_only=True):
    """A run's work. caller: who may wait for it, besides the operator; outcome: None until it has ended."""

    caller: str
    outcome: Outcome | None = None


class Waiter(NamedTuple):
    """A callback for a run's outcome. is_wanted: whether it is still to be called."""

    call: Callable[[Outcome], None]
    is_wanted: Callable[[], bool]


class Results:
    """Unfinished runs and the last KEPT that ended, with callbacks for their outcomes and for their processes' ends."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._large: dict[str, int] = {}
        self._replaced_by: dict[str, str] = {}
        self._waiters: dict[str, list[Waiter]] = {}
        self._on_begun: dict[str, Callable[[Outcome | None], None]] = {}
        self._on_reaped: dict[str, list[Callable[[], None]]] = {}

    def begin(self, run: str, caller: str) -> None:
        """Register a run that has begun to work for a caller."""
        self._works[run] = Work(caller=caller)
        if len(self._works) > KEPT:
            ended = next((run for run, work in self._works.items() if work.outcome is not None), None)
            if ended is not None:
                self.forget(ended)

    def replace(self, run: str, instead: str) -> None:
        """Note that run `instead` has replaced `run`: whoever waits for `run`, now or later, gets the other's outcome."""
        self._works.pop(run, None)
        self._waiters.setdefault(instead, []).extend(self._waiters.pop(run, []))
        self._replaced_by[run] = instead
        if len(self._replaced_by) > KEPT:
            del self._replaced_by[next(iter(self._replaced_by))]

    def newest(self, run: str) -> str:
        """Return the run whose outcome counts as this one's: the last that replaced it, or itself."""
        while run in self._replaced_by:
            run = self._replaced_by[run]
        return run

    def replacement(self, run: str) -> str:
        """Return the run that replaced this one, "" if none did."""
        return self._replaced_by.get(run, "")

    def may_wait(self, run: str, caller: str) -> bool:
        """Whether the run is known and this caller may wait for it: its starter or the operator."""
        run = self.newest(run)
        return run in self._works and caller in (OPERATOR, self._works[run].caller)

    def wait(self, run: str, call: Callable[[Outcome], None], is_wanted: Callable[[], bool]) -> None:
        """Call `call` with a known run's outcome: at once if there is one, otherwise when there is.

        Callbacks that are no longer wanted are dropped when the next one is added: a caller that waits and gives up again
        and again must not fill the memory.
        """
        run = self.newest(run)
        outcome = self._works[run].outcome
        if outcome is None:
            wanted = [waiter for waiter in self._waiters.get(run, []) if waiter.is_wanted()]
            self._waiters[run] = [*wanted, Waiter(call, is_wanted)]
        else:
            call(outcome)

    def set_outcome(self, run: str, header: headers.End, body: bytes, labels: frozenset[str]) -> None:
        """Keep the outcome of a run's work, which has ended, and call the callbacks that wait for it."""
        whole = Outcome(header=header, body=body, labels=labels)
        self.on_begun(run, whole)
        for waiter in self._waiters.pop(run, []):
            waiter.call(whole)
        if run in self._works:
            self._works[run].outcome = whole
            if len(body) > VALUE_KEPT:
                self._large[run] = len(body)
                self._drop_oldest_large()

    def _drop_oldest_large(self) -> None:
        """Drop the oldest large values beyond LARGE_KEPT."""
        room = sum(self._large.values()) - LARGE_KEPT
        while room > 0:
            run = next(iter(self._large))
            room -= self._large.pop(run)
            if run in self._works and (outcome := self._works[run].outcome) is not None:
                self._works[run].outcome = replace(outcome, body=None)

    def forget(self, run: str) -> None:
        """Drop a run's outcome."""
        self._works.pop(run, None)
        self._large.pop(run, None)

    def when_begun(self, run: str, call: Callable[[Outcome | None], None]) -> None:
        """Call `call` once: with None when the run has verified its files, or its outcome if it ended first."""
        self._on_begun[run] = call

    def on_begun(self, run: str, outcome: Outcome | None = None) -> None:
        """Call the callback of when_begun(): the run's process has verified its files, or its work has this outcome."""
        if (call := self._on_begun.pop(run, None)) is not None:
            call(outcome)

    def when_reaped(self, run: str, act: Callable[..., None], *arguments: object) -> None:
        """Call act when the run's process is reaped."""
        self._on_reaped.setdefault(run, []).append(partial(act, *arguments))

    def on_reaped(self, run: str) -> None:
        """Call the callbacks of when_reaped(): the run's process is reaped."""
        for act in self._on_reaped.pop(run, []):
            act()
