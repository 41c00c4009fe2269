"""Who pays for a call, and what the kernel says when it does not fit, was lost, or cost too much (pure).

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
    Short,
    is_for_good,
    least_left,
    set_over,
    written,
)  # fmt: skip
from manifests.calls import OpenCall, paid_from, payers_in_chain
from manifests.ledger import Sum, cost_of, minus, plus, sum_of
from manifests.policy import Link
from manifests.schema import Budget
from manifests.state import State
from wire import headers
from wire.entries import Cost
from wire.errors import Late

Owed = tuple[OpenCall, Sum, int]
"""A call that was settled without its provider's word: what as, and when by budget time."""

OWING_MOST: Final = 1_024
"""Calls at one run that were settled so, and of which the word is still waited for."""


def accounts(state: State, payers: Iterable[str]) -> list[Account]:
    """What those who pay for a call may spend: nothing bounds a Hand that was removed."""
    found = []
    for payer in payers:
        hand = state.by_id(payer)
        own = hand.package.manifest.budget if hand is not None else Budget()
        found.append(Account(payer, hand.name if hand else "", set_over(own, state.budgets.get(payer))))
    return found


def rooms(reservations: Reservations, state: State, payers: Iterable[str], now: int) -> list[Room]:
    """Every allowance of these payers, as it stands."""
    return [room for one in accounts(state, payers) for room in reservations.rooms(state.ledger, one, now)]


def of_home(reservations: Reservations, state: State, now: int) -> dict[str, object]:
    """Every allowance there is, the home's first, and what the home has spent."""
    payers = [HOME, *(state.hands[name].id for name in sorted(state.hands))]
    return {
        "budgets": [one.row for one in rooms(reservations, state, payers, now)],
        "spent": state.ledger.by_window(HOME, now),
    }


def of_hand(reservations: Reservations, state: State, hand: str, now: int) -> dict[str, object]:
    """A Hand's allowances, and what it has spent."""
    return {
        "budget": [one.row for one in rooms(reservations, state, [hand], now)],
        "spent": state.ledger.by_window(hand, now),
    }


def of_caller(reservations: Reservations, state: State, call: OpenCall, now: int, clock: float) -> dict[str, object]:
    """What another call by the same principal, made for the same call, might cost and take, None without a bound; and its
    own allowances. clock: monotonic seconds.
    """
    by, parent = call.by, call.parent
    tokens, micro = least_left(rooms(reservations, state, payers_in_chain(by, parent), now), paid_from(parent))
    own = [one.row for one in rooms(reservations, state, [by.hand], now)] if by.hand else []
    left = None if parent is None else max(0, int(parent.time_left(clock) * 1000))
    return {"tokens_left": tokens, "micro_dollars_left": micro, "milliseconds_left": left, "budget": own}


def short(
    reservations: Reservations, state: State, by: Link, parent: OpenCall | None, method: str, most: Cost | None,
    clock: Callable[[], int], *, alone: bool,
) -> Short | None:  # fmt: skip
    """Why a call may not be made: its `most` does not fit, or it has none, its method costs, and nothing is left."""
    if (most is None and method not in state.ledger.costly) or method.startswith("kernel."):
        return None
    now = clock()
    state.ledger.tick(now)
    wanted, within = None if most is None else sum_of(most), None if alone else paid_from(parent)
    return reservations.short(state.ledger, accounts(state, payers_in_chain(by, parent)), wanted, within, now)


def used_up_by(found: Short) -> Room | None:
    """The allowance that is found to be used up now, and of which that was not told."""
    return found.room if found.room is not None and found.room.told < USED_UP and is_for_good(found) else None


def opened(reservations: Reservations, call: OpenCall) -> None:
    """Reserve what a call that fits may cost at most."""
    if call.most is not None and not call.method.startswith("kernel."):
        call.reservation = reservations.open(call.number, call.payers, sum_of(call.most), call.covered)


def spent(reservations: Reservations, state: State, call: OpenCall, cost: Cost | None, now: int) -> Sum:
    """Settle a call at its end; by how much its cost is more than it might have been."""
    beyond, reservation = (0, 0), call.reservation
    if cost is not None:
        beyond = minus(sum_of(cost), reservation.unspent) if reservation is not None else (0, 0)
        state.ledger.spend(call.payers, cost, call.method, now)
        reservations.spend(reservation or call.covered, sum_of(cost))
    if reservation is not None:
        reservations.close(reservation)
    return beyond


def owe(owing: dict[int, Owed], call: OpenCall, cost: Cost, at: int) -> None:
    """Note that a call was settled without its provider's word; the oldest is forgotten when there are too many."""
    owing[call.number] = (call, sum_of(cost), at)
    if len(owing) > OWING_MOST:
        del owing[next(iter(owing))]


def corrected(owed: Owed | None, header: headers.End) -> tuple[OpenCall, dict[str, object], Sum, Sum]:
    """What an entry says of a charge by a provider's late word, and by how much it was too much, and too little.

    Raises Late when nothing is owed.
    """
    if owed is None:
        raise Late(header.number)
    (call, charged, at), cost = owed, sum_of(cost_in(header))
    back, more = minus(charged, cost), minus(cost, charged)
    detail: dict[str, object] = {
        "payers": [*call.payers], "at": at, "method": call.method, "back": asdict(cost_of(back)),
        "more": asdict(cost_of(more)),
    }  # fmt: skip
    return call, detail, back, more


def counted(before: Sum, more: Sum, back: Sum = (0, 0)) -> Sum:
    """What a run has spent, after another call."""
    tokens, micro = minus(plus(before, more), back)
    total = cost_of((tokens, micro))
    return total.tokens, total.micro_dollars


def too_much(call: OpenCall, beyond: Sum) -> str:
    """Why a provider is quarantined."""
    more = " and ".join(written(unit, one) for unit, one in zip(UNITS, beyond, strict=True) if one)
    most = " and ".join(map(written, UNITS, sum_of(call.most)))
    return f"{call.method} cost {more} more than was left of the {most} that it might cost at most"


def cost_in(header: headers.End) -> Cost | None:
    """What an end says that its call has cost."""
    return None if isinstance(header, headers.Refused) else header.cost
