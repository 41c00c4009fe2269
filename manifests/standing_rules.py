"""Standing rules, by which the operator approves calls in advance, and what the log says of held calls (pure).

A rule lets one Hand call one method without approval, on the resources that a pattern covers, until the rule expires.
"""

import msgspec
from msgspec import Struct

from manifests import capabilities
from wire.entries import Entry, time_micros


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. until: microseconds since 1970; call: the held one whose answer it came with."""

    method: str
    pattern: str
    until: int
    call: int

    def answers(self, method: str, resource: str, now: int) -> bool:
        """Whether nobody need be asked about this call now."""
        return now < self.until and method == self.method and capabilities.covers(self.pattern, resource)


def add_rules(rules: dict[str, tuple[Rule, ...]], entry: Entry) -> None:
    """An answer's entry: its rule holds from now on for the Hands that it names; those that have ended are forgotten."""
    statement, hands = entry.detail["statement"], entry.detail.get("hands")
    if isinstance(statement, dict) and isinstance(hands, list):
        row = {**statement["rule"], "method": statement["method"], "call": entry.call}
        now = time_micros(entry.time)
        for hand in map(str, hands):
            kept = (rule for rule in rules.get(hand, ()) if now < rule.until)
            rules[hand] = (*kept, msgspec.convert(row, Rule))


def remove_rules(rules: dict[str, tuple[Rule, ...]], entry: Entry) -> None:
    """An entry `revoke`: the rules that it names hold no more."""
    hand, gone = str(entry.detail["hand"]), msgspec.convert(entry.detail.get("rules", []), tuple[Rule, ...])
    if left := tuple(rule for rule in rules.get(hand, ()) if rule not in gone):
        rules[hand] = left
    else:
        rules.pop(hand, None)


def waiting_of(entry: Entry) -> tuple[str, int]:
    """What an entry `call` says of the operator's answer: `held`, `approved` (what it is made for was) or "", and until when
    it is held."""
    until = entry.detail.get("until", 0)
    if entry.verdict == "held":
        return "held", until if isinstance(until, int) else 0
    return "approved" if entry.detail.get("is_approved") else "", 0
