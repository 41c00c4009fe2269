"""`maniple budget` (acts)."""

from typing import Final

import click
from msgspec import Struct

from kernel.cli import installed, replies, screen, spending, typed
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command, hand_names
from manifests import amounts
from manifests.budgets import format_amount
from manifests.errors import ValueInvalid

KEYS: Final = ("tokens", "dollars")


class Status(Struct, frozen=True, kw_only=True):
    """The part of kernel.status's reply about budgets, as printed too. spent: by the home, or by one Hand."""

    budgets: tuple[spending.Allowance, ...]
    spent: spending.Spent


@command()
@click.argument("words", metavar="[HAND] [KEY=VALUE]...", nargs=-1, shell_complete=hand_names)
@click.option(
    "--unset", metavar="KEY", multiple=True, help="Remove what was set here; HAND.toml's applies again, or none."
)
def budget(session: Session, words: tuple[str, ...], unset: tuple[str, ...]) -> None:
    """Show what may be spent and what was, by the home and by each Hand; or set it.

    Without HAND it is the home's budget, which bounds everything together. KEY is tokens or dollars, VALUE an amount
    per hour, day or month, or several joined by commas. What you set replaces what the Hand's HAND.toml says for that
    key, at once.

        maniple budget dollars=5.00/day

        maniple budget researcher tokens=50k/hour,400k/day
    """
    names = [word for word in words if "=" not in word]
    if len(names) > 1 or (names and words[0] != names[0]):
        raise Ended("name one Hand, before its amounts: `maniple budget HAND tokens=200k/day`", Exit.USAGE)
    hand = names[0] if names else ""
    given = typed.parse_words(word for word in words if "=" in word)
    for key in (*given.names, *unset):
        if key not in KEYS or key in given.values:
            raise Ended(f"`{key}` is not a key of a budget: write tokens=200k/day or dollars=2.00/day", Exit.USAGE)
    wanted = {key: _amounts(key, text) for key, text in given.texts.items()} | {key: list[str]() for key in unset}
    with session.client() as client:
        if wanted:
            client.call("kernel.budget-set", "", {"hand": hand, **wanted})
        if hand:
            shown = installed.fetch_details(client, hand)  # raises if it is not installed
            allowances, spent = shown.budget, shown.spent
        else:
            status = replies.read(client.call("kernel.status").value, Status)
            allowances, spent = status.budgets, status.spent
    session.result({"budgets": allowances, "spent": spent}, lambda: session.hinted(_drawn(allowances, spent, hand)))


def _amounts(key: str, text: str) -> list[str]:
    """Split amounts at commas. Raises Ended (usage) if one is malformed, or two are for one window."""
    found = text.split(",")
    try:
        amounts.parse_all(found, amounts.parse_tokens if key == "tokens" else amounts.parse_dollars)
    except ValueInvalid as error:
        raise Ended(f"{key}: {error.why}: {error.instead}", Exit.USAGE) from None
    return found


def _drawn(allowances: tuple[spending.Allowance, ...], spent: spending.Spent, hand: str) -> str:
    lines = []
    if allowances:
        lines.append(
            screen.table(
                ("WHOSE", "BUDGET", "SPENT", "RESERVED", "LEFT", "STATE", "ENDS (UTC)"),
                (
                    (
                        one.name or "the home",
                        format_amount(one.unit, one.amount, one.window),
                        format_amount(one.unit, one.spent),
                        format_amount(one.unit, one.reserved) if one.reserved else "",
                        format_amount(one.unit, one.left),
                        "over_budget" if one.is_used_up else f"{one.percent} %" if one.percent else "ok",
                        screen.moment(one.ends),
                    )
                    for one in allowances
                ),
                right=("SPENT", "RESERVED", "LEFT"),
                colour_of="STATE",
            )
        )
    elif hand:
        lines.append(f"{hand} has no budget: `maniple budget {hand} tokens=200k/day` sets one.")
    if not hand:
        lines.append(f"Spent by the home: {spending.spent_text(spent) or 'nothing'}.")
    return "\n\n".join(lines)
