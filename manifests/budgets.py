"""Budgets (pure): reservations beside what each payer has spent, and whether a call's `most` still fits.

The home and every Hand in a call's chain pay for it. Its `most` is reserved with each payer before the call; at its end
the cost is spent and the rest is freed. A call made for one with a `most` takes its own out of that. So at any moment

    spent in the window + reserved ≤ the allowance

holds for every allowance, however calls interleave. Only a provider that charges more than `most`, or a call without
`most`, can exceed it; the excess is counted.

Spending is in the ledger (manifests/ledger.py), a part of the State that log entries change. Reservations are not logged:
a call that has no end when its kernel dies is charged in full at the next start.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from manifests.amounts import dollars_text, tokens_text
from manifests.ledger import Ledger, Sum, minus, plus, window_end
from manifests.schema import Allowance, Budget, Window
from wire.entries import time_text
from wire.errors import Refusal

HOME: Final = ""
"""The home as a payer; all others are ids of Hands."""

UNITS: Final = ("tokens", "micro_dollars")
"""The units in the order of a Sum. Budgets name them tokens and dollars."""

WARN_AT: Final = 80
USED_UP: Final = 100
"""The percentages of an allowance at which the operator is notified."""

# allowances --------------------------------------------------------------------------------------------------------------


class Account(NamedTuple):
    """A payer: its id, or HOME; its name for people; its budget."""

    payer: str
    name: str
    budget: Budget


class Room(Struct, frozen=True, kw_only=True):
    """The present state of one allowance; amounts are in its unit.

    notified: the highest percentage of which the operator was notified in this window. ends: the end of the window, in
    microseconds since 1970 by the kernel's clock.
    """

    payer: str
    name: str
    unit: str
    window: Window
    amount: int
    spent: int
    reserved: int
    notified: int
    ends: int

    @property
    def left(self) -> int:
        """The amount that can still be reserved."""
        return max(0, self.amount - self.spent - self.reserved)

    @property
    def is_used_up(self) -> bool:
        """Whether it is spent, or was reported so: a call was refused that would not fit whatever calls under way cost."""
        return self.spent >= self.amount or self.notified >= USED_UP

    @property
    def percent(self) -> int:
        """How much of it is used, as the operator is notified: 0, WARN_AT or USED_UP."""
        if self.is_used_up:
            return USED_UP
        return WARN_AT if self.spent * 100 >= self.amount * WARN_AT else 0

    def as_detail(self, percent: int) -> dict[str, object]:
        """Return the allowance as the detail of an entry."""
        return {
            "hand": self.payer, "name": self.name, "unit": self.unit, "window": self.window, "amount": self.amount,
            "spent": self.spent, "percent": percent, "ends": time_text(self.ends),
        }  # fmt: skip

    @property
    def row(self) -> dict[str, object]:
        """The allowance as a row of a reply."""
        return {**self.as_detail(self.percent), "reserved": self.reserved, "left": self.left}


def effective_budget(own: Budget, by_operator: Budget | None) -> Budget:
    """Return the budget that applies: for each unit the operator's, else that of the Hand's manifest."""
    if by_operator is None:
        return own
    return Budget(tokens=by_operator.tokens or own.tokens, dollars=by_operator.dollars or own.dollars)


def allowances(budget: Budget) -> Iterator[tuple[int, Allowance]]:
    """Return the allowances of a budget, each with the index of its unit in a Sum."""
    for allowance in budget.tokens:
        yield 0, allowance
    for allowance in budget.dollars:
        yield 1, allowance


def key_of_unit(unit: str) -> str:
    """Return the key of [budget] for a unit: `dollars` for micro_dollars."""
    return "dollars" if unit == "micro_dollars" else unit


def format_amount(unit: str, amount: int, window: str = "") -> str:
    """Format an amount for people: `200k tokens a day`, `2.00 dollars a day`."""
    tokens = f"{tokens_text(amount)} token{'' if amount == 1 else 's'}"
    text = tokens if unit == "tokens" else f"{dollars_text(amount)} dollars"
    return text + (f" {'an' if window == 'hour' else 'a'} {window}" if window else "")


# reservations ------------------------------------------------------------------------------------------------------------


class Reservation:
    """The reservation of one open call. within: the reservation of the call it is made for, out of which it is taken.

    added_payers: the payers that are not payers of `within`, with whom it is reserved in addition. unspent: the rest of
    `most`; lent: the part of that which is reserved for calls made for this one.
    """

    __slots__ = ("added_payers", "lent", "most", "number", "payers", "unspent", "within")

    def __init__(self, number: int, payers: tuple[str, ...], most: Sum, within: "Reservation | None") -> None:
        self.number, self.payers, self.most, self.within = number, payers, most, within
        self.added_payers = payers if within is None else tuple(payer for payer in payers if payer not in within.payers)
        self.unspent, self.lent = most, (0, 0)

    @property
    def inner(self) -> Sum:
        """The part of it that was spent so far, by calls made for its call, which is still open."""
        return minus(self.most, self.unspent)

    @property
    def left(self) -> Sum:
        """The part of it that can still be spent or lent."""
        return minus(self.unspent, self.lent)

    @property
    def used_up(self) -> str:
        """The first unit of which nothing is left, "" if there is none. One that it never had counts if it had no other."""
        units = [place for place in range(len(UNITS)) if self.most[place]] or [0]
        return next((UNITS[place] for place in units if not self.left[place]), "")


class Shortage(NamedTuple):
    """Why a call does not fit. room: the allowance, None for the `most` of the call above; needed, left: in `unit`."""

    room: Room | None
    unit: str
    needed: int
    left: int


class Reservations:
    """All present reservations, by payer."""

    def __init__(self) -> None:
        self._held: dict[str, Sum] = {}

    def rooms(self, ledger: Ledger, account: Account, now: int) -> list[Room]:
        """Return the present state of every allowance of one payer."""
        held = self._held.get(account.payer, (0, 0))
        found = []
        for place, allowance in allowances(account.budget):
            tally = ledger.tally(account.payer, allowance.window, now)
            found.append(
                Room(
                    payer=account.payer, name=account.name, unit=UNITS[place], window=allowance.window,
                    amount=allowance.amount, spent=tally.spent[place], reserved=held[place],
                    notified=tally.told.get(UNITS[place], 0), ends=ledger.when(window_end(allowance.window, tally.number)),
                )
            )  # fmt: skip
        return found

    def find_shortage(
        self, ledger: Ledger, accounts: Sequence[Account], most: Sum | None, within: Reservation | None, now: int
    ) -> Shortage | None:
        """Return why a call does not fit, None if it does. most: None for a call without one, for which some must be left."""
        if within is not None:
            left = within.left
            if most is None and (unit := within.used_up):
                return Shortage(None, unit, 1, 0)
            for place, needed in enumerate(most or ()):
                if needed > left[place]:
                    return Shortage(None, UNITS[place], needed, left[place])
        for account in accounts:
            if within is not None and account.payer in within.payers:
                continue
            for room in self.rooms(ledger, account, now):
                needed = 1 if most is None else most[UNITS.index(room.unit)]
                if needed > room.left:
                    return Shortage(room, room.unit, needed, room.left)
        return None

    def open(
        self, number: int, payers: tuple[str, ...], most: Sum, within: Reservation | None, inner: Sum = (0, 0)
    ) -> Reservation:  # fmt: skip
        """Reserve `most` for a call that fits. inner: see restore_spent()."""
        reservation = Reservation(number, payers, most, within)
        for payer in reservation.added_payers:
            self._held[payer] = plus(self._held.get(payer, (0, 0)), most)
        if within is not None:
            within.lent = plus(within.lent, most)
        self.restore_spent(reservation, inner)
        return reservation

    def restore_spent(self, reservation: Reservation | None, inner: Sum) -> None:
        """Take out what was spent, and counted, under an earlier kernel. The calls above need calls of their own."""
        if reservation is not None:
            self._shrink(reservation, minus(reservation.most, inner))

    def spend(self, reservation: Reservation | None, amounts: Sum) -> None:
        """Take an amount out of the reservations of this call and of those above it, down to zero."""
        while reservation is not None:
            before = reservation.unspent
            self._shrink(reservation, minus(before, amounts))
            reservation = reservation.within

    def close(self, reservation: Reservation) -> None:
        """Free the rest of a reservation, at its call's end."""
        self._shrink(reservation, (0, 0))

    def _shrink(self, reservation: Reservation, to: Sum) -> None:
        freed, reservation.unspent = minus(reservation.unspent, to), to
        for payer in reservation.added_payers:
            left = minus(self._held.pop(payer, (0, 0)), freed)
            if left != (0, 0):
                self._held[payer] = left
        if reservation.within is not None:
            reservation.within.lent = minus(reservation.within.lent, freed)


def shortage_refusal(short: Shortage) -> Refusal:
    """Return the refusal of a call that does not fit: which budget, how much, and when its window ends."""
    needed = format_amount(short.unit, short.needed)
    room = short.room
    if room is None:
        left = format_amount(short.unit, short.left)
        return Refusal("over_budget", f"the call that this one is made for may cost {left} more, and this one {needed}")
    whose = room.name if room.payer else "the home"
    allowed, left = format_amount(room.unit, room.amount, room.window), format_amount(room.unit, room.left)
    reserved = f", and calls under way may take {format_amount(room.unit, room.reserved)}" if room.reserved else ""
    end = (
        "no window has room for it"
        if short.needed > room.amount
        else f"the {room.window} ends {time_text(room.ends)[:16]}Z"
    )
    mend = f"`maniple budget {room.name} {key_of_unit(room.unit)}=…`".replace("  ", " ")
    return Refusal(
        "over_budget",
        f"{whose} may spend {allowed}, has spent {format_amount(room.unit, room.spent)}{reserved}: {left} are left, and this "
        f"needs {needed}; {end}, and {mend} allows more",
    )


def is_for_good(short: Shortage) -> bool:
    """Whether the call does not fit in this window even if all calls under way turn out to cost nothing."""
    return short.room is not None and short.room.amount >= short.needed > short.room.amount - short.room.spent


def used_up_until(rooms: Iterable[Room]) -> int:
    """Return when the last of the used up windows ends, by the kernel's clock; 0 if none is used up."""
    return max((room.ends for room in rooms if room.is_used_up), default=0)


def payers_detail(payers: Iterable[str], within: int) -> dict[str, object]:
    """Return the payers as the detail of an entry. within: the number of the call whose `most` pays for it, 0 for none."""
    return {"payers": [*payers], "within": within} if within else {"payers": [*payers]}


def least_left(rooms: Iterable[Room], within: Reservation | None) -> tuple[int | None, ...]:
    """Return what is left of each unit under all of these bounds; None for an unbounded unit."""
    found: list[int | None] = [None, None] if within is None else [*within.left]
    for room in rooms:
        place, held = UNITS.index(room.unit), within is not None and room.payer in within.payers
        before = found[place]
        if not held:
            found[place] = room.left if before is None else min(before, room.left)
    return tuple(found)


def full_costs(most: Mapping[int, Sum], within: Mapping[int, int], spent: Mapping[int, Sum]) -> dict[int, Sum]:
    """Return the costs charged for calls that never had an end: the part of `most` that calls made for them did not spend.

    All are by the call's number: most; within, the call whose `most` pays for it; spent, by calls made for it. A call's
    number is higher than that of the call it is made for.
    """
    used, found = dict(spent), dict[int, Sum]()
    for number in sorted(most, reverse=True):
        found[number] = minus(most[number], used.get(number, (0, 0)))
        above = within.get(number, 0)
        while above and above in most:
            used[above] = plus(used.get(above, (0, 0)), found[number])
            above = within.get(above, 0)
    return found
