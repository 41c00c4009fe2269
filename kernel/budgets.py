"""Budgets: what calls reserve and spend (acts on what manifests/paying.py and manifests/budgets.py decide).

A call is admitted before it is recorded, reserved for when it is, and settled at its end; what was spent is in the state,
which is what the log says. A provider that settles more than it may is quarantined, and the operator is told of a budget's
window that is nearly used up.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kernel.runs import Run
from manifests import paying
from manifests.budgets import USED_UP, Reservations, Room, refusal
from manifests.calls import OpenCall
from manifests.ledger import Sum, sum_of
from manifests.policy import Link
from wire import headers
from wire.entries import Cost

if TYPE_CHECKING:
    from kernel.core import Kernel


class Budgets:
    """What is reserved now, and all that is done when something is spent."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.reservations = Reservations()

    def admit(self, by: Link, parent: OpenCall | None, method: str, most: Cost | None, *, alone: bool = False) -> None:
        """Raises Refusal when a call does not fit into a budget. alone: it outlives what it is made for."""
        kernel = self._kernel
        short = paying.short(self.reservations, kernel.state, by, parent, method, most, kernel.time, alone=alone)
        if short is None:
            return
        if (room := paying.used_up_by(short)) is not None:
            self._tell(room, USED_UP)
        raise refusal(short)

    def settle(self, call: OpenCall, cost: Cost | None, *, is_word: bool) -> None:
        """A call has its end, which is recorded. is_word: its cost is its provider's own word."""
        kernel, provider = self._kernel, self._kernel.runs.get(call.provider)
        beyond = paying.spent(self.reservations, kernel.state, call, cost, kernel.time())
        if cost is None:
            return
        self._count(call, sum_of(cost))
        self._look(call.payers)
        if provider is not None and beyond != (0, 0):
            self._breach(call, beyond, provider)
        elif provider is not None and not is_word:
            paying.owe(provider.owing, call, cost, kernel.state.ledger.clock)

    def correct(self, run: Run, header: headers.Done | headers.Failed | headers.Cancelled) -> None:
        """What a provider says late of a call that was settled without its word. Raises Late when nothing is owed."""
        call, detail, back, more = paying.corrected(run.owing.pop(header.number, None), header)
        if back == more:
            return
        why = "its provider told later what it cost"
        self._kernel.record("budget", principal=run.id, verdict="corrected", call=header.number, why=why, detail=detail)
        self._count(call, more, back)
        if more != (0, 0):
            self._look(call.payers)
            self._breach(call, more, run)

    def rooms(self, payers: Iterable[str]) -> list[Room]:
        """Every allowance of these payers, as it stands."""
        return paying.rooms(self.reservations, self._kernel.state, payers, self._kernel.time())

    def _look(self, payers: Iterable[str]) -> None:
        """Tell the operator, once for each window, which are used by four fifths, and which are used up."""
        for room in self.rooms(payers):
            if room.percent > room.told:
                self._tell(room, room.percent)

    def _tell(self, room: Room, percent: int) -> None:
        detail, verdict = room.told_as(percent), "over_budget" if percent >= USED_UP else "warning"
        self._kernel.record("budget", verdict=verdict, detail=detail)
        self._kernel.events.tell("kernel.budget", {"verdict": verdict, **detail})

    def _count(self, call: OpenCall, more: Sum, back: Sum = (0, 0)) -> None:
        if (run := self._kernel.runs.get(call.caller)) is not None:
            run.tokens, run.cost = paying.counted((run.tokens, run.cost), more, back)

    def _breach(self, call: OpenCall, beyond: Sum, provider: Run) -> None:
        """A provider that settled more than it was allowed answers nothing until its operator says so."""
        why = paying.too_much(call, beyond)
        self._kernel.record_state(provider.hand, "quarantined", why)
        self._kernel.supervisor.unwant(provider.hand, f"quarantined: {why}")
