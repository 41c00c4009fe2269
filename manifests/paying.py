"""Payment of calls: checks budgets, reserves, settles, corrects, and reports (pure).

Separate from budgets.py, which knows sums and payers but neither the State nor calls.
"""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import asdict

from manifests.budgets import (
    HOME,
    UNITS,
    USED_UP,
    Account,
    Reservations,
    Room,
    Shortage,
    effective_budget,
    format_amount,
    is_for_good,
    least_left,
)  # fmt: skip
from manifests.calls import OpenCall, paid_from, payers_in_chain
from manifests.ledger import Sum, cost_of, minus, plus, sum_of
from manifests.policy import Link
from manifests.schema import Budget
from manifests.state import State
from wire import headers
from wire.amounts import Cost
from wire.entries import Reported
from wire.errors import Late

Owed = tuple[OpenCall, Sum, int]
"""A call that was settled before its provider reported a cost: the call, the charge, and its budget time."""

OWING_MOST: Final = 1_024
"""The most such calls per run that are remembered until the provider reports."""

UNBOUNDED: Final = 10**12
"""Of a unit that nothing bounds: more than any call costs."""


def accounts(state: State, payers: Iterable[str]) -> list[Account]:
    """Return the accounts of these payers. A Hand that was removed has no budget of its own."""
    found = []
    for payer in payers:
        hand = state.by_id(payer)
        own = hand.package.manifest.budget if hand is not None else Budget()
        found.append(Account(payer, hand.name if hand else "", effective_budget(own, state.budgets.get(payer))))
    return found


def rooms(reservations: Reservations, state: State, payers: Iterable[str], now: int) -> list[Room]:
    """Return the present state of every allowance of these payers."""
    return [room for one in accounts(state, payers) for room in reservations.rooms(state.ledger, one, now)]


def home_report(reservations: Reservations, state: State, now: int) -> dict[str, object]:
    """Return every allowance, the home's first, and what the home has spent."""
    payers = [HOME, *(state.hands[name].id for name in sorted(state.hands))]
    return {
        "budgets": [one.row for one in rooms(reservations, state, payers, now)],
        "spent": state.ledger.by_window(HOME, now),
    }


def hand_report(reservations: Reservations, state: State, hand: str, now: int) -> dict[str, object]:
    """Return a Hand's allowances, and what it has spent."""
    return {
        "budget": [one.row for one in rooms(reservations, state, [hand], now)],
        "spent": state.ledger.by_window(hand, now),
    }


def call_bounds(reservations: Reservations, state: State, call: OpenCall, now: int, clock: float) -> dict[str, object]:
    """Return the most that one more call by the same principal, with the same parent, may cost and take, None if unbounded;
    and the principal's own allowances. clock: monotonic seconds.
    """
    by, parent = call.by, call.parent
    tokens, micro = least_left(rooms(reservations, state, payers_in_chain(by, parent), now), paid_from(parent))
    own = [one.row for one in rooms(reservations, state, [by.hand], now)] if by.hand else []
    left = None if parent is None else max(0, int(parent.time_left(clock) * 1000))
    spent = {} if parent is None else {"tokens_in_all": parent.tokens, "micro_dollars_in_all": parent.micro_dollars}
    return {"tokens_left": tokens, "micro_dollars_left": micro, "milliseconds_left": left, "budget": own, **spent}


def shortage(
    reservations: Reservations, state: State, by: Link, parent: OpenCall | None, method: str, most: Cost | None,
    clock: Callable[[], int], *, alone: bool,
) -> Shortage | None:  # fmt: skip
    """Return why a call does not fit: its `most` is too much, or it has none, its method costs, and nothing is left."""
    if (most is None and method not in state.ledger.costly) or method.startswith("kernel."):
        return None
    now = clock()
    state.ledger.tick(now)
    wanted, within = None if most is None else sum_of(most), None if alone else paid_from(parent)
    return reservations.find_shortage(state.ledger, accounts(state, payers_in_chain(by, parent)), wanted, within, now)


def newly_used_up(found: Shortage) -> Room | None:
    """Return the allowance that this shortage shows to be used up and of which the operator was not notified, or None."""
    return found.room if found.room is not None and found.room.notified < USED_UP and is_for_good(found) else None


def reserve(reservations: Reservations, call: OpenCall) -> None:
    """Reserve the `most` of a call that fits."""
    if call.most is not None and not call.method.startswith("kernel."):
        call.reservation = reservations.open(call.number, call.payers, sum_of(call.most), call.covered)


def left_for(reservations: Reservations, state: State, call: OpenCall, now: int) -> Cost | None:
    """Return what a call without `most` may cost by what is left now, which its provider is told; None if nothing bounds it.

    Not for the work of a task run, which must be the same in each of its lives. As in `used_up`, a unit that the `most`
    above it never had is not bounded by that, but by what those who pay have left.
    """
    covered = call.covered
    if call.most is not None or not call.route or (covered is None and call.method not in state.ledger.costly):
        return None
    within = rooms(reservations, state, call.payers, now)
    had = covered.most if covered is not None and any(covered.most) else (1, 1)
    of_all, of_payers = least_left(within, covered), least_left(within, None)
    left = [one if of else other for one, other, of in zip(of_all, of_payers, had, strict=True)]
    if left == [None, None]:
        return None
    tokens, micro = (UNBOUNDED if one is None else one for one in left)
    return Cost(tokens=tokens, micro_dollars=micro)


def settle(reservations: Reservations, state: State, call: OpenCall, cost: Cost | None, now: int) -> Sum:
    """Settle a call at its end. Returns by how much its cost exceeds its reservation."""
    beyond, reservation = (0, 0), call.reservation
    if cost is not None:
        beyond = minus(sum_of(cost), reservation.unspent) if reservation is not None else (0, 0)
        state.ledger.spend(call.payers, cost, call.method, now)
        reservations.spend(reservation or call.covered, sum_of(cost))
        _add_above(call, sum_of(cost))
    if reservation is not None:
        reservations.close(reservation)
    return beyond


def owe(owing: dict[int, Owed], call: OpenCall, cost: Cost, at: int) -> None:
    """Remember a call that was settled before its provider reported; above OWING_MOST the oldest is forgotten."""
    owing[call.number] = (call, sum_of(cost), at)
    if len(owing) > OWING_MOST:
        del owing[next(iter(owing))]


def correct(owed: Owed | None, header: headers.End) -> tuple[OpenCall, Reported, Sum, Sum]:
    """Return the call, the fields of the correcting entry, and the excess and shortfall of a charge, by its late end.

    Raises Late if the call is not owed.
    """
    if owed is None:
        raise Late(header.number)
    (call, charged, at), cost = owed, sum_of(cost_of_end(header))
    back, more = minus(charged, cost), minus(cost, charged)
    _add_above(call, more, back)
    detail: dict[str, object] = {
        "payers": [*call.payers], "at": at, "method": call.method, "back": asdict(cost_of(back)),
        "more": asdict(cost_of(more)),
    }  # fmt: skip
    fields: Reported = {
        "verdict": "corrected", "call": call.number, "parent": call.parent.number if call.parent else 0, "run": call.run,
        "detail": detail, "why": "its provider stated the cost later",
    }  # fmt: skip
    return call, fields, back, more


def _add_above(call: OpenCall, more: Sum, back: Sum = (0, 0)) -> None:
    """Add a call's cost to what was spent for each call that it is made for, up to a detached one."""
    while call.parent is not None and not call.is_detached:
        call = call.parent
        call.tokens, call.micro_dollars = add_spent((call.tokens, call.micro_dollars), more, back)


def add_spent(before: Sum, more: Sum, back: Sum = (0, 0)) -> Sum:
    """Return what a run has spent, with `more` added and `back` subtracted."""
    tokens, micro = minus(plus(before, more), back)
    total = cost_of((tokens, micro))
    return total.tokens, total.micro_dollars


def overspent_text(call: OpenCall, beyond: Sum) -> str:
    """Return why a provider is quarantined: its call cost more than it might."""
    more = " and ".join(format_amount(unit, one) for unit, one in zip(UNITS, beyond, strict=True) if one)
    most = " and ".join(map(format_amount, UNITS, sum_of(call.most)))
    return f"{call.method} cost {more} more than was left of the {most} that it might cost at most"


def cost_of_end(header: headers.End) -> Cost | None:
    """Return the cost that an end reports, or None."""
    return None if isinstance(header, headers.Refused) else header.cost
