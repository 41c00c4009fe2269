"""How runs ended, for a while, and who waits to hear it (values and callbacks; bounded)."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from wire import headers
from wire.ids import OPERATOR

KEPT: Final = 1_000
VALUE_KEPT: Final = 64 * 1024
"""A result's body is kept for late waiters up to this size; whoever waits from the start gets it whole."""


class Outcome(Struct, frozen=True, kw_only=True):
    """How a task run's work ended. caller: who may ask. body: its value in msgpack, None when it was too large to keep."""

    header: headers.End
    body: bytes | None
    caller: str


class Results:
    """Outcomes of the last KEPT runs, and who waits for those still running."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[str, Outcome | None] = OrderedDict()  # None: its work has not ended yet
        self._callers: dict[str, str] = {}
        self._waiting: dict[str, list[Callable[[Outcome], None]]] = {}
        self._gone: dict[str, list[Callable[[], None]]] = {}

    def begin(self, run: str, caller: str) -> None:
        """A run has work to do for a caller."""
        self._outcomes[run] = None
        self._callers[run] = caller
        while len(self._outcomes) > KEPT:
            self._callers.pop(self._outcomes.popitem(last=False)[0])

    def known(self, run: str, caller: str) -> bool:
        """Whether this caller may wait for the run: its own, and the operator for any."""
        return run in self._outcomes and caller in (OPERATOR, self._callers[run])

    def wait(self, run: str, hear: Callable[[Outcome], None]) -> None:
        """Call hear with the run's outcome, now if it is known, else when it is."""
        outcome = self._outcomes.get(run)
        if outcome is None:
            self._waiting.setdefault(run, []).append(hear)
        else:
            hear(outcome)

    def keep(self, run: str, header: headers.End, body: bytes) -> None:
        """The run's work has its end."""
        caller = self._callers.get(run, "")
        for hear in self._waiting.pop(run, []):
            hear(Outcome(header=header, body=body, caller=caller))
        if run in self._outcomes:
            kept = body if len(body) <= VALUE_KEPT else None
            self._outcomes[run] = Outcome(header=header, body=kept, caller=caller)

    def when_gone(self, run: str, act: Callable[[], None]) -> None:
        """Call act when the run's process is reaped."""
        self._gone.setdefault(run, []).append(act)

    def gone(self, run: str) -> None:
        """The run's process is reaped."""
        for act in self._gone.pop(run, []):
            act()
