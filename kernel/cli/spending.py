"""Budgets and costs as people write and read them (pure)."""

from collections.abc import Iterable

from msgspec import Struct

from kernel.cli import screen
from kernel.cli.exits import Ended, Exit
from manifests import amounts
from manifests.budgets import format_amount
from manifests.errors import ValueInvalid
from manifests.ledger import Sum, sum_of
from wire.entries import Cost


class Room(Struct, frozen=True, kw_only=True):
    """One allowance as it stands. name: its Hand's, "" for the home; amounts are in its unit; ends: RFC 3339."""

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
        """Whether nothing more fits into its window."""
        return self.percent >= 100

    def in_words(self) -> str:
        """In one line: how much is spent of how much, and until when."""
        held = f", {format_amount(self.unit, self.reserved)} reserved" if self.reserved else ""
        words = f"{format_amount(self.unit, self.spent)} of {format_amount(self.unit, self.amount, self.window)}{held}"
        if self.is_used_up:
            return f"{words}: over budget until {screen.moment(self.ends)} UTC"
        return f"{words}, until {screen.moment(self.ends)} UTC"


Spent = dict[str, dict[str, int]]
"""By window: tokens and micro_dollars."""


def spent(now: Spent) -> str:
    """What was spent in each window, in one line; "" when nothing was."""
    told = {window: (row.get("tokens", 0), row.get("micro_dollars", 0)) for window, row in now.items()}
    if not any(map(any, told.values())):
        return ""
    return ", ".join(f"{_both(one)} this {window}" for window, one in told.items())


def _both(one: Sum) -> str:
    """Tokens and dollars, what there is of them."""
    said = [
        format_amount(unit, amount) for unit, amount in zip(("tokens", "micro_dollars"), one, strict=True) if amount
    ]
    return " and ".join(said) or "nothing"


def cost(one: Cost | None) -> str:
    """What a call has cost, "" for nothing."""
    return "" if sum_of(one) == (0, 0) else _both(sum_of(one))


def most(given: Iterable[str]) -> Cost | None:
    """What `--most tokens=2000 --most dollars=0.05` says; None when it was not given. Raises Ended (usage)."""
    found: dict[str, int] = {}
    for word in given:
        key, equals, text = word.partition("=")
        if key not in ("tokens", "dollars") or not equals or key in found:
            raise Ended(f"--most: `{word}` is not tokens=NUMBER or dollars=AMOUNT, each once", Exit.USAGE)
        try:
            found[key] = amounts.tokens_of(text) if key == "tokens" else amounts.dollars_of(text)
        except ValueInvalid:
            example = "tokens=2000 or tokens=2k" if key == "tokens" else "dollars=0.05"
            raise Ended(f"--most: `{word}` cannot be read: write it like {example}", Exit.USAGE) from None
    return Cost(tokens=found.get("tokens", 0), micro_dollars=found.get("dollars", 0)) if found else None
