"""Parses and formats budgets and costs (pure)."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from kernel.cli import screen
from kernel.cli.exits import Ended, Exit
from manifests import amounts
from manifests.budgets import format_amount
from manifests.errors import ValueInvalid
from manifests.ledger import Sum, sum_of
from wire.amounts import Cost

UNSTATED: Final = 10**12
"""Of a unit that neither --most nor a budget bounds: more than any call costs, and sums of it fit into a message."""

Sums = dict[str, int]
"""Amounts by unit."""


class Allowance(Struct, frozen=True, kw_only=True):
    """One allowance of a budget, as in replies. hand, name: the id and name of its Hand, "" for the home. Amounts are in
    its unit.

    percent: 0, 80 or 100, the step reached. ends: end of the window, in RFC 3339.
    """

    hand: str = ""
    name: str
    unit: str
    window: str
    amount: int
    spent: int
    reserved: int
    left: int
    percent: int
    ends: str

    @property
    def is_used_up(self) -> bool:
        """Whether nothing more can be spent in this window."""
        return self.percent >= 100

    def describe(self) -> str:
        """Describe it in one line: amount spent, the allowance, and the end of the window."""
        held = f", {format_amount(self.unit, self.reserved)} reserved" if self.reserved else ""
        words = f"{format_amount(self.unit, self.spent)} of {format_amount(self.unit, self.amount, self.window)}{held}"
        if self.is_used_up:
            return f"{words}: over budget until {screen.moment(self.ends)} UTC"
        return f"{words}, until {screen.moment(self.ends)} UTC"


Spent = dict[str, dict[str, int]]
"""Spending by window, in tokens and micro_dollars."""


def spent_text(now: Spent) -> str:
    """Format what was spent in each window as one line; "" if nothing was."""
    sums = {window: (row.get("tokens", 0), row.get("micro_dollars", 0)) for window, row in now.items()}
    if not any(map(any, sums.values())):
        return ""
    return ", ".join(f"{_sum_text(one)} this {window}" for window, one in sums.items())


def _sum_text(one: Sum) -> str:
    """Format tokens and dollars, leaving out what is 0."""
    parts = [
        format_amount(unit, amount) for unit, amount in zip(("tokens", "micro_dollars"), one, strict=True) if amount
    ]
    return " and ".join(parts) or "nothing"


def cost_text(one: Cost | None) -> str:
    """Format the cost of a call; "" if it was free."""
    return "" if sum_of(one) == (0, 0) else _sum_text(sum_of(one))


def parse_most(given: Iterable[str]) -> Sums:
    """Parse `--most tokens=2000 --most dollars=0.05`: amounts by unit. Raises Ended (usage)."""
    found: Sums = {}
    for word in given:
        key, equals, text = word.partition("=")
        unit = {"tokens": "tokens", "dollars": "micro_dollars"}.get(key, "")
        if not unit or not equals or unit in found:
            raise Ended(f"--most: `{word}` is not tokens=NUMBER or dollars=AMOUNT, each once", Exit.USAGE)
        try:
            found[unit] = amounts.tokens_of(text) if key == "tokens" else amounts.dollars_of(text)
        except ValueInvalid:
            example = "tokens=2000 or tokens=2k" if key == "tokens" else "dollars=0.05"
            raise Ended(f"--most: `{word}` cannot be read: write it like {example}", Exit.USAGE) from None
    return found


def most_of(given: Sums, allowances: Iterable[Allowance]) -> Cost:
    """Return the most that a call may cost. Of a unit that is not given, half of what budgets leave: it stays reserved."""
    left = dict.fromkeys(("tokens", "micro_dollars"), UNSTATED)
    for one in allowances:
        left[one.unit] = min(left[one.unit], one.left // 2)
    return Cost(**(left | given))
