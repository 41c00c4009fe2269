"""The ledger of spending (pure): sums, the windows in which they are counted, and how log entries change them.

Separate from budgets.py because the ledger is a part of the State, and reservations are not. Windows are hours, days and
months of UTC, by budget time. Budget time follows the kernel's clock and never goes back: after the clock was set back,
it runs at half speed until the clock has caught up, so that no window comes twice.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from manifests.amounts import WINDOWS
from manifests.schema import Window
from wire.amounts import Cost
from wire.canonical import INT_LIMIT
from wire.entries import Entry, time_micros

_MICROS: Final[dict[Window, int]] = {"hour": 3_600_000_000, "day": 86_400_000_000}

Sum: TypeAlias = tuple[int, int]
"""Tokens and micro-dollars."""

NOTHING: Final = Cost(tokens=0, micro_dollars=0)


def sum_of(cost: Cost | None) -> Sum:
    """Return a cost as a Sum; (0, 0) for None."""
    return (cost.tokens, cost.micro_dollars) if cost is not None else (0, 0)


def cost_of(amounts: Sum) -> Cost:
    """Return a Sum as a cost, cut to the largest numbers that an entry can hold."""
    tokens, micro = (min(one, INT_LIMIT - 1) for one in amounts)
    return Cost(tokens=tokens, micro_dollars=micro)


def plus(one: Sum, other: Sum) -> Sum:
    """Add two sums."""
    return one[0] + other[0], one[1] + other[1]


def minus(one: Sum, other: Sum) -> Sum:
    """Subtract `other` from `one`, each unit down to zero."""
    return max(0, one[0] - other[0]), max(0, one[1] - other[1])


# windows -----------------------------------------------------------------------------------------------------------------


def window_number(window: Window, time: int) -> int:
    """Return the number of the window that contains a time, counted from 1970. time: microseconds since 1970."""
    if window == "month":
        moment = datetime.fromtimestamp(time // 1_000_000, UTC)
        return (moment.year - 1970) * 12 + moment.month - 1
    return time // _MICROS[window]


def window_end(window: Window, number: int) -> int:
    """Return when a window ends, in microseconds since 1970."""
    if window == "month":
        year, month = divmod(number + 1, 12)
        return int(datetime(1970 + year, month + 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    return (number + 1) * _MICROS[window]


# the ledger --------------------------------------------------------------------------------------------------------------


class Tally(Struct, kw_only=True, forbid_unknown_fields=True):
    """What one payer has spent in the newest window of one kind. told: the highest percentage reported, by unit."""

    number: int = 0
    spent: Sum = (0, 0)
    told: dict[str, int] = {}


class Ledger(Struct, kw_only=True, forbid_unknown_fields=True):
    """All spending. clock: budget time; seen: the kernel's clock at that moment. spent: by payer and kind of window.

    costly: methods of which some call had a cost.
    """

    clock: int = 0
    seen: int = 0
    spent: dict[str, dict[Window, Tally]] = {}
    costly: set[str] = set()

    def at(self, now: int) -> int:
        """Return the budget time for a time of the kernel's clock."""
        return max(now, self.clock + max(0, now - self.seen) // 2)

    def tick(self, now: int) -> None:
        """Advance budget time to a time of the kernel's clock."""
        self.clock, self.seen = self.at(now), now

    def when(self, time: int) -> int:
        """Return the time of the kernel's clock for a budget time to come."""
        return min(time, self.seen + 2 * (time - self.clock))

    def tally(self, payer: str, window: Window, now: int) -> Tally:
        """Return a payer's spending in the present window. The result is for reading only."""
        number = window_number(window, self.at(now))
        kept = self.spent.get(payer, {}).get(window)
        return kept if kept is not None and kept.number >= number else Tally(number=number)

    def by_window(self, payer: str, now: int) -> dict[str, dict[str, int]]:
        """Return a payer's spending in the present hour, day and month, as rows of a reply."""
        spent = {window: self.tally(payer, window, now).spent for window in WINDOWS}
        return {window: {"tokens": tokens, "micro_dollars": micro} for window, (tokens, micro) in spent.items()}

    def _to_write(self, payer: str, window: Window) -> Tally:
        number, tallies = window_number(window, self.clock), self.spent.setdefault(payer, {})
        kept = tallies.get(window)
        if kept is None or kept.number < number:
            kept = tallies[window] = Tally(number=number)
        return kept

    def spend(self, payers: Iterable[str], cost: Cost, method: str, now: int) -> None:
        """Count a call's cost for each of its payers."""
        self.tick(now)
        if cost != NOTHING:
            self.costly.add(method)
        for payer in payers:
            for window in WINDOWS:
                tally = self._to_write(payer, window)
                tally.spent = sum_of(cost_of(plus(tally.spent, sum_of(cost))))

    def give_back(self, payers: Iterable[str], cost: Cost, spent_at: int) -> None:
        """Undo a charge in those of its windows that are still the newest. spent_at: its budget time."""
        for payer in payers:
            for window, tally in self.spent.get(payer, {}).items():
                if tally.number == window_number(window, spent_at):
                    tally.spent = minus(tally.spent, sum_of(cost))

    def note_told(self, payer: str, unit: str, window: Window, percent: int, now: int) -> None:
        """Note that the operator was notified of this percentage of a payer's window."""
        self.tick(now)
        self._to_write(payer, window).told[unit] = percent

    def forget_told(self, payer: str) -> None:
        """Forget which percentages were notified, since the payer's allowances have changed."""
        for tally in self.spent.get(payer, {}).values():
            tally.told.clear()


# what entries say --------------------------------------------------------------------------------------------------------


def payers_of(entry: Entry) -> tuple[str, ...]:
    """Return the payers that an entry names: of a call with a reservation or a cost; () for others."""
    payers = entry.detail.get("payers")
    return tuple(map(str, payers)) if isinstance(payers, list) else ()


def within_of(entry: Entry) -> int:
    """Return the number of the earlier call whose `most` pays for an entry's call, 0 for none."""
    within = entry.detail.get("within")
    return within if isinstance(within, int) and within < entry.call else 0


def change_of(entry: Entry) -> tuple[Sum, Sum]:
    """Return what an entry adds to what was spent, and what it takes back: the cost of a call's end, or its correction."""
    if "back" not in entry.detail:
        return sum_of(entry.cost), (0, 0)
    more, back = (sum_of(msgspec.convert(entry.detail[name], Cost)) for name in ("more", "back"))
    return more, back


def apply_entry(ledger: Ledger, entry: Entry) -> None:
    """Apply an entry's cost, correction of a cost, or notified percentage to the ledger."""
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
