"""`maniple grants` (acts)."""

from typing import Final

import click
import msgspec

from kernel.cli import replies, rights, screen
from kernel.cli.exits import NoHand
from kernel.cli.frame import Session, command, hand_names
from manifests.schema import Capability
from manifests.standing_rules import Rule
from wire.entries import time_text

_ASKS: Final = {None: "", True: "each time", False: "never"}


@command()
@click.argument("hand", metavar="[HAND]", required=False, shell_complete=hand_names)
def grants(session: Session, hand: str | None) -> None:
    """List what each Hand may do: its methods, on what it may use them, and when you are asked.

    OWN is yes for what it may do on behalf of any caller, and lent for what only the runs that it spawns may do. ASKS
    says whether you are asked each time or never; where it is empty, the Hand's autonomy decides. A rule given with
    `maniple approve --rule` is a row of its own, with its end. Grants on files begin with the name of a root: see
    `maniple roots`. Any of them can be taken back with `maniple revoke`.

    What its HAND.toml no longer asks for, a Hand may not do: `maniple show HAND` lists it as left over.
    """
    with session.client() as client:
        home = replies.read(client.call("kernel.home").value, rights.Home)
    held, rules = home.grants, home.rules
    if hand is not None:
        if hand not in held:
            raise NoHand(hand)
        held, rules = {hand: held[hand]}, {hand: rules.get(hand, ())}
    nothing = f"{hand} is granted nothing." if hand else "No Hand is granted anything."
    rule_rows = {name: [_rule_row(one) for one in rules_of_hand] for name, rules_of_hand in rules.items()}
    session.result({"grants": held, "rules": rule_rows}, lambda: _drawn(held, rules), nothing=nothing)


def _rule_row(rule: Rule) -> dict[str, object]:
    """The JSON row of a rule; its end is a time in RFC 3339."""
    return {**msgspec.to_builtins(rule), "until": time_text(rule.until)}


def _drawn(held: dict[str, tuple[Capability, ...]], rules: dict[str, tuple[Rule, ...]]) -> str:
    rows = [
        (
            name,
            one.method,
            ", ".join(one.allow),
            "yes" if one.own else "lent" if one.lent else "",
            _ASKS[one.approval],
            "",
        )
        for name, capabilities in sorted(held.items())
        for one in sorted(capabilities, key=lambda one: one.method)
    ]
    rows += [
        (name, one.method, one.pattern, "", "never, by a rule", screen.moment(time_text(one.until)))
        for name, rules_of_hand in sorted(rules.items())
        for one in rules_of_hand
    ]
    return screen.table(("HAND", "METHOD", "ON", "OWN", "ASKS", "UNTIL"), rows) if rows else ""
