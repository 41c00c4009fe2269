"""How the work of task runs ended, for a while, and who waits to hear it (values and callbacks; bounded)."""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from wire import headers
from wire.codec import NIL
from wire.ids import OPERATOR

KEPT: Final = 1_000
"""Runs that are remembered."""

VALUE_KEPT: Final = 64 * 1024
LARGE_KEPT: Final = 16 * 1024 * 1024
"""How large a value may be to be kept for late waiters as long as its run is, and bytes of the larger ones, of which the
latest are kept: who began a run waits for it some time after, and it may have ended by then. Who waits before gets all whole.
"""


class Outcome(Struct, frozen=True, kw_only=True):
    """How a run's work ended. body: its value in msgpack, None when it was too large to keep. labels: what it is of."""

    header: headers.End
    body: bytes | None
    labels: frozenset[str]


_GONE: Final = "run ended: the kernel ended before it, or its tape is gone"
LOST: Final = Outcome(header=headers.Failed(number=0, code="ended", text=_GONE), body=NIL, labels=frozenset())
"""How a run ended of which nobody knows more than that it has."""


class Work(Struct, kw_only=True):
    """What is known of a run's work. caller: who may ask; outcome: None until it has ended."""

    caller: str
    outcome: Outcome | None = None


class Waiter(NamedTuple):
    """One who waits to hear how a run's work ended, and whether he still does."""

    hear: Callable[[Outcome], None]
    waits: Callable[[], bool]


class Results:
    """The last KEPT runs and all under way, who waits for their work to end, and who for their processes to be gone."""

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
            ended = next((one for one, work in self._works.items() if work.outcome is not None), None)
            if ended is not None:
                self.forget(ended)

    def replace(self, run: str, instead: str) -> None:
        """Whoever waits for a run's work, now or later, hears how that of another one ends, which was begun instead."""
        self._works.pop(run, None)
        self._hear.setdefault(instead, []).extend(self._hear.pop(run, []))
        self._instead[run] = instead
        if len(self._instead) > KEPT:
            del self._instead[next(iter(self._instead))]

    def newest(self, run: str) -> str:
        """The run whose end is heard as that of this one: mostly itself."""
        while run in self._instead:
            run = self._instead[run]
        return run

    def instead(self, run: str) -> str:
        """The run that goes on instead of this one, "" for none."""
        return self._instead.get(run, "")

    def known(self, run: str, caller: str) -> bool:
        """Whether this caller may wait for the run: its own, and the operator for any."""
        run = self.newest(run)
        return run in self._works and caller in (OPERATOR, self._works[run].caller)

    def wait(self, run: str, hear: Callable[[Outcome], None], waits: Callable[[], bool]) -> None:
        """Call hear with a known run's outcome, now if there is one, else when there is. waits: whether anybody still does;
        those who gave up are forgotten when the next one comes, or whoever asks again and again would fill the memory.
        """
        run = self.newest(run)
        outcome = self._works[run].outcome
        if outcome is None:
            self._hear[run] = [*(one for one in self._hear.get(run, []) if one.waits()), Waiter(hear, waits)]
        else:
            hear(outcome)

    def keep(self, run: str, header: headers.End, body: bytes, labels: frozenset[str]) -> None:
        """The run's work has its end."""
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
        """Let go of the large values that have been kept longest, where there are too many."""
        room = sum(self._large.values()) - LARGE_KEPT
        while room > 0:
            run = next(iter(self._large))
            room -= self._large.pop(run)
            if run in self._works and (outcome := self._works[run].outcome) is not None:
                self._works[run].outcome = replace(outcome, body=None)

    def forget(self, run: str) -> None:
        """What a run that has ended came to is not kept any more."""
        self._works.pop(run, None)
        self._large.pop(run, None)

    def when_begun(self, run: str, hear: Callable[[Outcome | None], None]) -> None:
        """Call hear once, when the run's process has found its files as they were sealed; or its work ended without."""
        self._begun[run] = hear

    def begun(self, run: str, outcome: Outcome | None = None) -> None:
        """The run is on its way to the bus, or its work has its end."""
        if (hear := self._begun.pop(run, None)) is not None:
            hear(outcome)

    def when_reaped(self, run: str, act: Callable[..., None], *arguments: object) -> None:
        """Call act when the run's process is reaped."""
        self._act.setdefault(run, []).append(partial(act, *arguments))

    def reaped(self, run: str) -> None:
        """The run's process is reaped."""
        for act in self._act.pop(run, []):
            act()
