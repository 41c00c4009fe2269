"""Budgets: what calls reserve and spend (acts on what manifests/budgets.py decides).

A call is admitted before it is recorded, reserved for when it is, and settled at its end; what was spent is in the state,
which is what the log says. A provider that settles more than it may is quarantined, and the operator is told of a budget's
window that is nearly used up.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from msgspec.structs import asdict

from kernel.runs import Run
from manifests.budgets import HOME, USED_UP, Bonds, Room, is_for_good, least_left, over_until, refusal, written
from manifests.calls import OpenCall, accounts, covering, paying
from manifests.ledger import Sum, cost_of, minus, sum_of
from manifests.policy import Link
from wire import codec, headers
from wire.canonical import INT_LIMIT
from wire.entries import Cost
from wire.errors import Late

if TYPE_CHECKING:
    from kernel.core import Kernel

OWING_MOST: Final = 1_024
"""Calls settled without their provider's word for which it is still waited, at one run."""


class Budgets:
    """What is reserved now, and all that is done when something is spent."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._bonds = Bonds()

    def admit(
        self, by: Link, parent: OpenCall | None, method: str, most: Cost | None, *, detached: bool = False
    ) -> None:
        """Raises Refusal when a call's `most` does not fit, or it has none, its method costs, and nothing is left."""
        state = self._kernel.state
        if method.startswith("kernel.") or (most is None and method not in state.ledger.costly):
            return
        now = self._kernel.time()
        state.ledger.tick(now)
        payers, within = accounts(state, paying(by, parent)), None if detached else covering(parent)
        short = self._bonds.short(state.ledger, payers, None if most is None else sum_of(most), within, now)
        if short is None:
            return
        if short.room is not None and short.room.told < USED_UP and is_for_good(short):
            self._tell(short.room, USED_UP)
        raise refusal(short)

    def reserve(self, call: OpenCall) -> None:
        """A call that was admitted is about to be recorded."""
        if call.most is not None and not call.method.startswith("kernel."):
            call.bond = self._bonds.open(call.number, call.payers, sum_of(call.most), call.covered)

    def settle(self, call: OpenCall, cost: Cost | None, *, is_word: bool) -> None:
        """A call has its end, which is recorded. is_word: its cost is its provider's own word."""
        kernel, bond, provider = self._kernel, call.bond, self._kernel.runs.get(call.provider)
        if cost is not None:
            allowed = bond.unspent if bond is not None else sum_of(cost)
            kernel.state.ledger.spend(call.payers, cost, call.method, kernel.time())
            self._bonds.spend(bond or call.covered, sum_of(cost))
            self._count(call, sum_of(cost))
            self._look(call.payers)
            if provider is not None and not is_word:
                provider.owing[call.number] = (call, cost, kernel.state.ledger.clock)
                if len(provider.owing) > OWING_MOST:
                    del provider.owing[next(iter(provider.owing))]
            elif provider is not None and minus(sum_of(cost), allowed) != (0, 0):
                self._breach(call, sum_of(cost), allowed, provider)
        if bond is not None:
            self._bonds.close(bond)

    def correct(self, run: Run, header: headers.Done | headers.Failed | headers.Cancelled) -> None:
        """What a provider says late of a call that was settled without its word. Raises Late when nothing is owed."""
        owed = run.owing.pop(header.number, None)
        if owed is None:
            raise Late(header.number)
        call, cost, at = owed
        charged, spent = sum_of(cost), sum_of(header.cost)
        if charged == spent:
            return
        back, more = minus(charged, spent), minus(spent, charged)
        detail: dict[str, object] = {
            "payers": [*call.payers], "at": at, "method": call.method, "back": asdict(cost_of(back)),
            "more": asdict(cost_of(more)),
        }  # fmt: skip
        why = "its provider told later what it cost"
        self._kernel.record("budget", principal=run.id, verdict="corrected", call=call.number, why=why, detail=detail)
        self._count(call, more, back)
        if more != (0, 0):
            self._look(call.payers)
            self._breach(call, spent, charged, run)

    def rooms(self, payers: Iterable[str]) -> list[Room]:
        """Every allowance of these payers, as it stands."""
        state, now = self._kernel.state, self._kernel.time()
        return [room for one in accounts(state, payers) for room in self._bonds.rooms(state.ledger, one, now)]

    def left(self, by: Link, parent: OpenCall | None) -> tuple[int | None, ...]:
        """Tokens and micro-dollars that a call by one principal, made for another call, might cost now; None: no bound."""
        return least_left(self.rooms(paying(by, parent)), covering(parent))

    def all_rooms(self) -> list[Room]:
        """Every allowance in the home, its own first."""
        hands = self._kernel.state.hands
        return self.rooms([HOME, *(hands[name].id for name in sorted(hands))])

    def until(self, hand: str) -> int:
        """When the last of a Hand's used up windows ends, 0 when none is used up."""
        return over_until(self.rooms([hand]))

    def _look(self, payers: Iterable[str]) -> None:
        """Tell the operator, once for each window, which are used by four fifths, and which are used up."""
        for room in self.rooms(payers):
            if room.percent > room.told:
                self._tell(room, room.percent)

    def _tell(self, room: Room, percent: int) -> None:
        kernel, verdict = self._kernel, "over_budget" if percent >= USED_UP else "warning"
        detail = room.told_as(percent)
        kernel.record("budget", verdict=verdict, detail=detail)
        kernel.events.announce("kernel.budget", codec.encode_body({"verdict": verdict, **detail}))

    def _count(self, call: OpenCall, more: Sum, back: Sum = (0, 0)) -> None:
        """What the caller's run has cost."""
        run = self._kernel.runs.get(call.caller)
        if run is not None:
            run.tokens = min(max(0, run.tokens + more[0] - back[0]), INT_LIMIT - 1)
            run.cost = min(max(0, run.cost + more[1] - back[1]), INT_LIMIT - 1)

    def _breach(self, call: OpenCall, spent: Sum, allowed: Sum, provider: Run) -> None:
        """A provider that settled more than it was allowed answers nothing until its operator says so."""
        cost, most = (" and ".join(map(written, ("tokens", "micro_dollars"), one)) for one in (spent, allowed))
        why = f"{call.method} cost {cost}, and might have cost {most} at most"
        self._kernel.record_state(provider.hand, "quarantined", why)
        self._kernel.supervisor.unwant(provider.hand, f"quarantined: {why}")
