"""Budgets: what calls reserve and spend (acts on what manifests/paying.py and manifests/budgets.py decide).

A call is admitted before it is recorded, reserved for when it is recorded, and settled at its end. What was spent is in the
state, and so follows from the log. A provider that settles more than it may is quarantined; the operator is warned when a
budget's window is nearly used up.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kernel.runs import Run
from manifests import paying
from manifests.budgets import USED_UP, Reservations, Room, shortage_refusal
from manifests.calls import OpenCall
from manifests.ledger import Sum, sum_of
from manifests.policy import Link
from wire import headers
from wire.amounts import Cost

if TYPE_CHECKING:
    from kernel.core import Kernel


class Budgets:
    """The reservations of all open calls, and the accounts of what is spent."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.reservations = Reservations()

    def admit(self, by: Link, parent: OpenCall | None, method: str, most: Cost | None, *, alone: bool = False) -> None:
        """Raise Refusal if a call does not fit into a budget. alone: it is detached, so its parent's reservation does not
        cover it.
        """
        kernel = self._kernel
        short = paying.shortage(self.reservations, kernel.state, by, parent, method, most, kernel.time, alone=alone)
        if short is None:
            return
        if (room := paying.newly_used_up(short)) is not None:
            self._report(room, USED_UP)
        raise shortage_refusal(short)

    def settle(self, call: OpenCall, cost: Cost | None, *, is_word: bool) -> None:
        """Settle a call whose end is recorded. is_word: its provider itself stated the cost."""
        kernel, provider = self._kernel, self._kernel.runs.get(call.provider)
        beyond = paying.settle(self.reservations, kernel.state, call, cost, kernel.time())
        if cost is None:
            return
        self._charge_run(call, sum_of(cost))
        self._warn_when_low(call.payers)
        if provider is not None and beyond != (0, 0):
            self._quarantine(call, beyond, provider)
        elif provider is not None and not is_word:
            paying.owe(provider.owing, call, cost, kernel.state.ledger.clock)

    def correct(self, run: Run, header: headers.Done | headers.Failed | headers.Cancelled) -> None:
        """Correct the cost of a call that was settled before its provider stated it. Raises Late if no cost is owed."""
        call, fields, back, more = paying.correct(run.owing.pop(header.number, None), header)
        if back == more:
            return
        self._kernel.record("budget", principal=run.id, **fields)
        self._charge_run(call, more, back)
        if more != (0, 0):
            self._warn_when_low(call.payers)
            self._quarantine(call, more, run)

    def rooms(self, payers: Iterable[str]) -> list[Room]:
        """Return every budget of these payers, with what is spent and reserved."""
        return paying.rooms(self.reservations, self._kernel.state, payers, self._kernel.time())

    def _warn_when_low(self, payers: Iterable[str]) -> None:
        """Tell the operator, once per window each, which budgets are used by four fifths, and which are used up."""
        for room in self.rooms(payers):
            if room.percent > room.notified:
                self._report(room, room.percent)

    def _report(self, room: Room, percent: int) -> None:
        """Record and publish how much of a budget is used."""
        detail, verdict = room.as_detail(percent), "over_budget" if percent >= USED_UP else "warning"
        self._kernel.record("budget", verdict=verdict, detail=detail)
        self._kernel.events.emit("kernel.budget", {"verdict": verdict, **detail})

    def _charge_run(self, call: OpenCall, more: Sum, back: Sum = (0, 0)) -> None:
        """Add a call's cost to its caller's run; back: what was added for it before."""
        if (run := self._kernel.runs.get(call.caller)) is not None:
            run.tokens, run.cost = paying.add_spent((run.tokens, run.cost), more, back)

    def _quarantine(self, call: OpenCall, beyond: Sum, provider: Run) -> None:
        """Quarantine a provider that settled more than it was allowed, until the operator starts it."""
        why = paying.overspent_text(call, beyond)
        self._kernel.record_state(provider.hand, "quarantined", why)
        self._kernel.supervisor.stop_hand(provider.hand, f"quarantined: {why}")
