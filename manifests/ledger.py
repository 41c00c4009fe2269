"""What was spent (pure): sums, the windows they are counted in, and the ledger that the log's entries make.

Separate from budgets.py because it is a part of the State, and what is reserved is not. Windows are hours, days and months
of UTC. They go by budget time, which follows the kernel's clock and never goes back: after the clock was set back it goes
on at half its pace until the clock has caught up, so that no window comes twice.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from manifests.amounts import WINDOWS
from manifests.schema import Window
from wire.canonical import INT_LIMIT
from wire.entries import Cost, Entry, time_micros

_MICROS: Final[dict[Window, int]] = {"hour": 3_600_000_000, "day": 86_400_000_000}

Sum: TypeAlias = tuple[int, int]
"""Tokens and micro-dollars."""

NOTHING: Final = Cost(tokens=0, micro_dollars=0)


def sum_of(cost: Cost | None) -> Sum:
    """A cost as a sum; none is nothing."""
    return (cost.tokens, cost.micro_dollars) if cost is not None else (0, 0)


def cost_of(amounts: Sum) -> Cost:
    """A sum as a cost, as large as an entry can say."""
    tokens, micro = (min(one, INT_LIMIT - 1) for one in amounts)
    return Cost(tokens=tokens, micro_dollars=micro)


def plus(one: Sum, other: Sum) -> Sum:
    """Both together."""
    return one[0] + other[0], one[1] + other[1]


def minus(one: Sum, other: Sum) -> Sum:
    """What is left, never less than nothing."""
    return max(0, one[0] - other[0]), max(0, one[1] - other[1])


# windows -----------------------------------------------------------------------------------------------------------------


def number_of(window: Window, time: int) -> int:
    """Which window of a kind a moment (microseconds since 1970) lies in, counted from 1970."""
    if window == "month":
        moment = datetime.fromtimestamp(time // 1_000_000, UTC)
        return (moment.year - 1970) * 12 + moment.month - 1
    return time // _MICROS[window]


def end_of(window: Window, number: int) -> int:
    """The moment at which a window ends, in microseconds since 1970."""
    if window == "month":
        year, month = divmod(number + 1, 12)
        return int(datetime(1970 + year, month + 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    return (number + 1) * _MICROS[window]


# the ledger --------------------------------------------------------------------------------------------------------------


class Tally(Struct, kw_only=True, forbid_unknown_fields=True):
    """What one payer has spent in the newest window of one kind. told: the percentage that was told, by unit."""

    number: int = 0
    spent: Sum = (0, 0)
    told: dict[str, int] = {}


class Ledger(Struct, kw_only=True, forbid_unknown_fields=True):
    """What was spent. clock: budget time; seen: the kernel's clock when it was that. spent: by payer and kind of window.

    costly: methods of which a call has cost something.
    """

    clock: int = 0
    seen: int = 0
    spent: dict[str, dict[Window, Tally]] = {}
    costly: set[str] = set()

    def at(self, now: int) -> int:
        """Budget time when the kernel's clock says now."""
        return max(now, self.clock + max(0, now - self.seen) // 2)

    def tick(self, now: int) -> None:
        """Let budget time go on."""
        self.clock, self.seen = self.at(now), now

    def when(self, time: int) -> int:
        """What the kernel's clock will say at a moment of budget time."""
        return min(time, self.seen + 2 * (time - self.clock))

    def tally(self, payer: str, window: Window, now: int) -> Tally:
        """What a payer has spent in the window that now lies in, to read."""
        number = number_of(window, self.at(now))
        kept = self.spent.get(payer, {}).get(window)
        return kept if kept is not None and kept.number >= number else Tally(number=number)

    def by_window(self, payer: str, now: int) -> dict[str, dict[str, int]]:
        """What a payer has spent in each of the windows that now lies in."""
        spent = {window: self.tally(payer, window, now).spent for window in WINDOWS}
        return {window: {"tokens": tokens, "micro_dollars": micro} for window, (tokens, micro) in spent.items()}

    def _to_write(self, payer: str, window: Window) -> Tally:
        number, tallies = number_of(window, self.clock), self.spent.setdefault(payer, {})
        kept = tallies.get(window)
        if kept is None or kept.number < number:
            kept = tallies[window] = Tally(number=number)
        return kept

    def spend(self, payers: Iterable[str], cost: Cost, method: str, now: int) -> None:
        """Count what a call cost with all who pay for it."""
        self.tick(now)
        if cost != NOTHING:
            self.costly.add(method)
        for payer in payers:
            for window in WINDOWS:
                tally = self._to_write(payer, window)
                tally.spent = sum_of(cost_of(plus(tally.spent, sum_of(cost))))

    def give_back(self, payers: Iterable[str], cost: Cost, spent_at: int) -> None:
        """Take a charge back that was made at a moment of budget time, in the windows that are still the same."""
        for payer in payers:
            for window, tally in self.spent.get(payer, {}).items():
                if tally.number == number_of(window, spent_at):
                    tally.spent = minus(tally.spent, sum_of(cost))

    def note_told(self, payer: str, unit: str, window: Window, percent: int, now: int) -> None:
        """The operator was told how far a payer's window is used."""
        self.tick(now)
        self._to_write(payer, window).told[unit] = percent

    def forget_told(self, payer: str) -> None:
        """A payer's allowances have changed: what was told of them says nothing any more."""
        for tally in self.spent.get(payer, {}).values():
            tally.told.clear()


# what entries say --------------------------------------------------------------------------------------------------------


def payers_of(entry: Entry) -> tuple[str, ...]:
    """Who pays for a call, where it was reserved or has cost something."""
    payers = entry.detail.get("payers")
    return tuple(map(str, payers)) if isinstance(payers, list) else ()


def within_of(entry: Entry) -> int:
    """The call out of whose `most` one is paid: an earlier one, 0 for none."""
    within = entry.detail.get("within")
    return within if isinstance(within, int) and within < entry.call else 0


def note(ledger: Ledger, entry: Entry) -> None:
    """Let an entry that says what was spent, corrected or told change the ledger."""
    detail, now = entry.detail, time_micros(entry.time)
    if entry.cost is not None:
        ledger.spend(payers_of(entry), entry.cost, entry.method, now)
    if "back" in detail:
        ledger.give_back(payers_of(entry), msgspec.convert(detail["back"], Cost), msgspec.convert(detail["at"], int))
        if (more := msgspec.convert(detail["more"], Cost)) != NOTHING:
            ledger.spend(payers_of(entry), more, str(detail["method"]), now)
    if "percent" in detail:
        window, percent = msgspec.convert(detail["window"], Window), msgspec.convert(detail["percent"], int)
        ledger.note_told(str(detail["hand"]), str(detail["unit"]), window, percent, now)
