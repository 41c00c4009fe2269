"""Budgets (pure): what each payer has spent, what is reserved, and whether a call's `most` still fits.

Every Hand in a call's chain pays for it, and the home. Its `most` is reserved with each of them before the call; at its end
the cost is spent and the rest is free again. A call made for one with a `most` takes its own out of that. So at any moment

    spent in the window + reserved ≤ the allowance

holds for every allowance, however calls interleave. Only a provider that settles more than `most`, or a call without `most`,
can break this; the excess is counted.

What is spent is in the ledger (manifests/ledger.py), a part of the State, as the log's entries say. Reservations are in no
log: a call that has no end when its kernel dies is settled in full at the next start.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from manifests.amounts import dollars_text, tokens_text
from manifests.ledger import Ledger, Sum, end_of, minus, plus
from manifests.schema import Allowance, Budget, Window
from wire.entries import time_text
from wire.errors import Refusal

HOME: Final = ""
"""The home as a payer; all others are ids of Hands."""

UNITS: Final = ("tokens", "micro_dollars")
"""In the order of a Sum; the keys of a budget are tokens and dollars."""

WARN_AT: Final = 80
USED_UP: Final = 100
"""Percent of an allowance at which the operator is told."""

# allowances --------------------------------------------------------------------------------------------------------------


class Account(NamedTuple):
    """A payer: its id, or HOME; its name for people; its budget."""

    payer: str
    name: str
    budget: Budget


class Room(Struct, frozen=True, kw_only=True):
    """One allowance as it stands now; amounts are in its unit.

    told: the highest percentage of which the operator was told in this window. ends: when the window does, in microseconds
    since 1970 by the kernel's clock.
    """

    payer: str
    name: str
    unit: str
    window: Window
    amount: int
    spent: int
    reserved: int
    told: int
    ends: int

    @property
    def left(self) -> int:
        """What can still be reserved."""
        return max(0, self.amount - self.spent - self.reserved)

    @property
    def is_used_up(self) -> bool:
        """Whether it is spent, or was told to be: a call was refused that no end of calls under way could have made fit."""
        return self.spent >= self.amount or self.told >= USED_UP

    @property
    def percent(self) -> int:
        """How much of it is used, in the steps of which the operator is told: 0, WARN_AT or USED_UP."""
        if self.is_used_up:
            return USED_UP
        return WARN_AT if self.spent * 100 >= self.amount * WARN_AT else 0

    def told_as(self, percent: int) -> dict[str, object]:
        """The allowance as the detail of an entry."""
        return {
            "hand": self.payer, "name": self.name, "unit": self.unit, "window": self.window, "amount": self.amount,
            "spent": self.spent, "percent": percent, "ends": time_text(self.ends),
        }  # fmt: skip

    @property
    def row(self) -> dict[str, object]:
        """The allowance as a row of a reply."""
        return {**self.told_as(self.percent), "reserved": self.reserved, "left": self.left}


def set_over(own: Budget, by_operator: Budget | None) -> Budget:
    """The budget that applies: for each unit what the operator set, else what the Hand's manifest says."""
    if by_operator is None:
        return own
    return Budget(tokens=by_operator.tokens or own.tokens, dollars=by_operator.dollars or own.dollars)


def allowances(budget: Budget) -> Iterator[tuple[int, Allowance]]:
    """All of a budget, each with the place of its unit in a Sum."""
    for allowance in budget.tokens:
        yield 0, allowance
    for allowance in budget.dollars:
        yield 1, allowance


def key_of(unit: str) -> str:
    """The key of a budget that is counted in this unit."""
    return "dollars" if unit == "micro_dollars" else unit


def written(unit: str, amount: int, window: str = "") -> str:
    """An amount for people: `200k tokens a day`, `2.00 dollars a day`."""
    tokens = f"{tokens_text(amount)} token{'' if amount == 1 else 's'}"
    text = tokens if unit == "tokens" else f"{dollars_text(amount)} dollars"
    return text + (f" {'an' if window == 'hour' else 'a'} {window}" if window else "")


# reservations ------------------------------------------------------------------------------------------------------------


class Reservation:
    """What is reserved for one open call. within: the reservation of the call it is made for, out of which it is taken.

    anew: the payers with whom it is reserved besides; the others' is a part of `within`. unspent: what is left of `most`;
    lent: what of that is reserved for calls made for this one.
    """

    __slots__ = ("anew", "lent", "most", "number", "payers", "unspent", "within")

    def __init__(self, number: int, payers: tuple[str, ...], most: Sum, within: "Reservation | None") -> None:
        self.number, self.payers, self.most, self.within = number, payers, most, within
        self.anew = payers if within is None else tuple(payer for payer in payers if payer not in within.payers)
        self.unspent, self.lent = most, (0, 0)

    @property
    def inner(self) -> Sum:
        """What was spent of it so far: by calls made for its own, which is still open."""
        return minus(self.most, self.unspent)

    @property
    def left(self) -> Sum:
        """What can still be spent of it, or lent."""
        return minus(self.unspent, self.lent)


class Short(NamedTuple):
    """Why a call does not fit: the allowance, or None for the `most` of the call above; what it needs, and what is left."""

    room: Room | None
    unit: str
    needed: int
    left: int


class Reservations:
    """Everything that is reserved now, by payer."""

    def __init__(self) -> None:
        self._held: dict[str, Sum] = {}

    def rooms(self, ledger: Ledger, account: Account, now: int) -> list[Room]:
        """Every allowance of one payer as it stands."""
        held = self._held.get(account.payer, (0, 0))
        found = []
        for place, allowance in allowances(account.budget):
            tally = ledger.tally(account.payer, allowance.window, now)
            found.append(
                Room(
                    payer=account.payer, name=account.name, unit=UNITS[place], window=allowance.window,
                    amount=allowance.amount, spent=tally.spent[place], reserved=held[place],
                    told=tally.told.get(UNITS[place], 0), ends=ledger.when(end_of(allowance.window, tally.number)),
                )
            )  # fmt: skip
        return found

    def short(
        self, ledger: Ledger, accounts: Sequence[Account], most: Sum | None, within: Reservation | None, now: int
    ) -> Short | None:
        """Why a call does not fit, None if it does. most: None for a call without one, for which something must be left."""
        if within is not None:
            left = within.left
            if most is None and left == (0, 0):
                return Short(None, UNITS[0], 1, 0)
            for place, needed in enumerate(most or ()):
                if needed > left[place]:
                    return Short(None, UNITS[place], needed, left[place])
        for account in accounts:
            if within is not None and account.payer in within.payers:
                continue
            for room in self.rooms(ledger, account, now):
                needed = 1 if most is None else most[UNITS.index(room.unit)]
                if needed > room.left:
                    return Short(room, room.unit, needed, room.left)
        return None

    def open(
        self, number: int, payers: tuple[str, ...], most: Sum, within: Reservation | None, inner: Sum = (0, 0)
    ) -> Reservation:  # fmt: skip
        """Reserve for a call that fits. inner: see spent_before()."""
        reservation = Reservation(number, payers, most, within)
        for payer in reservation.anew:
            self._held[payer] = plus(self._held.get(payer, (0, 0)), most)
        if within is not None:
            within.lent = plus(within.lent, most)
        self.spent_before(reservation, inner)
        return reservation

    def spent_before(self, reservation: Reservation | None, inner: Sum) -> None:
        """So much of it was spent, and counted, under an earlier kernel. To be called for the calls above on their own."""
        if reservation is not None:
            self._shrink(reservation, minus(reservation.most, inner))

    def spend(self, reservation: Reservation | None, amounts: Sum) -> None:
        """Take an amount out of the reservations of this call and of those above it, as far as they go."""
        while reservation is not None:
            before = reservation.unspent
            self._shrink(reservation, minus(before, amounts))
            reservation = reservation.within

    def close(self, reservation: Reservation) -> None:
        """Its call has its end: free what is left."""
        self._shrink(reservation, (0, 0))

    def _shrink(self, reservation: Reservation, to: Sum) -> None:
        freed, reservation.unspent = minus(reservation.unspent, to), to
        for payer in reservation.anew:
            left = minus(self._held.pop(payer, (0, 0)), freed)
            if left != (0, 0):
                self._held[payer] = left
        if reservation.within is not None:
            reservation.within.lent = minus(reservation.within.lent, freed)


def refusal(short: Short) -> Refusal:
    """The refusal of a call that does not fit: which budget, how much, and when its window ends."""
    needed = written(short.unit, short.needed)
    room = short.room
    if room is None:
        left = written(short.unit, short.left)
        return Refusal("over_budget", f"the call that this one is made for may cost {left} more, and this one {needed}")
    whose = room.name if room.payer else "the home"
    allowed, left = written(room.unit, room.amount, room.window), written(room.unit, room.left)
    reserved = f", and calls under way may take {written(room.unit, room.reserved)}" if room.reserved else ""
    end = (
        "no window has room for it"
        if short.needed > room.amount
        else f"the {room.window} ends {time_text(room.ends)[:16]}Z"
    )
    mend = f"`maniple budget {room.name} {key_of(room.unit)}=…`".replace("  ", " ")
    return Refusal(
        "over_budget",
        f"{whose} may spend {allowed}, has spent {written(room.unit, room.spent)}{reserved}: {left} are left, and this "
        f"needs {needed}; {end}, and {mend} allows more",
    )


def is_for_good(short: Short) -> bool:
    """Whether it does not fit whatever calls under way will cost: what is spent alone leaves no room in this window."""
    return short.room is not None and short.room.amount >= short.needed > short.room.amount - short.room.spent


def over_until(rooms: Iterable[Room]) -> int:
    """When the last of the used up windows ends, by the kernel's clock; 0 when none is used up."""
    return max((room.ends for room in rooms if room.is_used_up), default=0)


def paid_by(payers: Iterable[str], within: int) -> dict[str, object]:
    """The payers as the detail of an entry. within: the number of the call out of whose `most` it is taken, 0 for none."""
    return {"payers": [*payers], "within": within} if within else {"payers": [*payers]}


def least_left(rooms: Iterable[Room], within: Reservation | None) -> tuple[int | None, ...]:
    """What is left of each unit, with all of these bounds; None for an unbounded one."""
    found: list[int | None] = [None, None] if within is None else [*within.left]
    for room in rooms:
        place, held = UNITS.index(room.unit), within is not None and room.payer in within.payers
        before = found[place]
        if not held:
            found[place] = room.left if before is None else min(before, room.left)
    return tuple(found)


def settled_in_full(most: Mapping[int, Sum], within: Mapping[int, int], spent: Mapping[int, Sum]) -> dict[int, Sum]:
    """The cost at which calls are settled that never had an end: all of their `most` that calls made for them have not spent.

    All by the number of the call: most; within, the call out of whose `most` it is taken; spent, by calls made for it. A
    call's number is higher than that of the call it is made for.
    """
    used, found = dict(spent), dict[int, Sum]()
    for number in sorted(most, reverse=True):
        found[number] = minus(most[number], used.get(number, (0, 0)))
        above = within.get(number, 0)
        while above and above in most:
            used[above] = plus(used.get(above, (0, 0)), found[number])
            above = within.get(above, 0)
    return found
