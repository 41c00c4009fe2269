"""The outcomes of task runs, kept for a while, and the callbacks that wait for them (values and callbacks; bounded)."""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from wire import headers
from wire.codec import NIL
from wire.ids import OPERATOR

KEPT: Final = 1_000
"""Outcomes that are kept."""

VALUE_KEPT: Final = 64 * 1024
LARGE_KEPT: Final = 16 * 1024 * 1024
"""Bytes of a value that is kept as long as its outcome; and of all larger values together, of which the latest are kept.
Whoever waits before the run ends gets any value; but a starter often waits some time later, when the run may have ended.
"""


class Outcome(Struct, frozen=True, kw_only=True):
    """How a run's work ended. body: its value in msgpack, None when it was too large to keep. labels: of the value."""

    header: headers.End
    body: bytes | None
    labels: frozenset[str]


_GONE: Final = "run ended: the kernel ended before it, or its tape is gone"
LOST: Final = Outcome(header=headers.Failed(number=0, code="ended", text=_GONE), body=NIL, labels=frozenset())
"""The outcome of a run of which it is only known that it ended."""


class Work(Struct, kw_only=True):
    """A run's work. caller: who may wait for it, besides the operator; outcome: None until it has ended."""

    caller: str
    outcome: Outcome | None = None


class Waiter(NamedTuple):
    """A callback for a run's outcome. waits: whether it is still wanted."""

    hear: Callable[[Outcome], None]
    waits: Callable[[], bool]


class Results:
    """Runs under way and the last KEPT that ended, with the callbacks for their outcomes and their processes' ends."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._large: dict[str, int] = {}
        self._instead: dict[str, str] = {}
        self._hear: dict[str, list[Waiter]] = {}
        self._begun: dict[str, Callable[[Outcome | None], None]] = {}
        self._act: dict[str, list[Callable[[], None]]] = {}

    def begin(self, run: str, caller: str) -> None:
        """A run has work to do for a caller."""
        self._works[run] = Work(caller=caller)
        if len(self._works) > KEPT:
            ended = next((run for run, work in self._works.items() if work.outcome is not None), None)
            if ended is not None:
                self.forget(ended)

    def replace(self, run: str, instead: str) -> None:
        """Run `instead` took the place of `run`: whoever waits for that, now or later, gets the outcome of this."""
        self._works.pop(run, None)
        self._hear.setdefault(instead, []).extend(self._hear.pop(run, []))
        self._instead[run] = instead
        if len(self._instead) > KEPT:
            del self._instead[next(iter(self._instead))]

    def newest(self, run: str) -> str:
        """The run whose outcome counts as this one's: mostly itself."""
        while run in self._instead:
            run = self._instead[run]
        return run

    def instead(self, run: str) -> str:
        """The run that took the place of this one, "" for none."""
        return self._instead.get(run, "")

    def known(self, run: str, caller: str) -> bool:
        """Whether the run is known, and this caller may wait for it: its starter, and the operator."""
        run = self.newest(run)
        return run in self._works and caller in (OPERATOR, self._works[run].caller)

    def wait(self, run: str, hear: Callable[[Outcome], None], waits: Callable[[], bool]) -> None:
        """Call hear with a known run's outcome, at once if there is one, else when there is.

        waits: whether hear is still wanted. Callbacks that are not are dropped when the next one is added: a caller that
        waits and gives up again and again must not fill the memory.
        """
        run = self.newest(run)
        outcome = self._works[run].outcome
        if outcome is None:
            self._hear[run] = [*(waiter for waiter in self._hear.get(run, []) if waiter.waits()), Waiter(hear, waits)]
        else:
            hear(outcome)

    def keep(self, run: str, header: headers.End, body: bytes, labels: frozenset[str]) -> None:
        """The run's work has its end: call those who wait, and keep the outcome."""
        whole = Outcome(header=header, body=body, labels=labels)
        self.begun(run, whole)
        for waiter in self._hear.pop(run, []):
            waiter.hear(whole)
        if run in self._works:
            self._works[run].outcome = whole
            if len(body) > VALUE_KEPT:
                self._large[run] = len(body)
                self._keep_the_latest()

    def _keep_the_latest(self) -> None:
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

    def when_begun(self, run: str, hear: Callable[[Outcome | None], None]) -> None:
        """Call hear once: when the run's process has verified its files (with None), or when its work ended before that."""
        self._begun[run] = hear

    def begun(self, run: str, outcome: Outcome | None = None) -> None:
        """The run's process has verified its files; or, with an outcome, its work ended before."""
        if (hear := self._begun.pop(run, None)) is not None:
            hear(outcome)

    def when_reaped(self, run: str, act: Callable[..., None], *arguments: object) -> None:
        """Call act when the run's process is reaped."""
        self._act.setdefault(run, []).append(partial(act, *arguments))

    def reaped(self, run: str) -> None:
        """The run's process is reaped."""
        for act in self._act.pop(run, []):
            act()
