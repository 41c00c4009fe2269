"""Standing rules, with which the operator approves calls in advance, and the approval fields of entries (pure).

A rule lets one Hand call one method without approval, on the resources that a pattern covers, until the rule expires.
"""

import msgspec
from msgspec import Struct

from manifests import capabilities
from wire.entries import Entry, time_micros


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. until: microseconds since 1970; call: the number of the held call whose answer created it."""

    method: str
    pattern: str
    until: int
    call: int

    def answers(self, method: str, resource: str, now: int) -> bool:
        """Whether this rule approves a call of the method on the resource now."""
        return now < self.until and method == self.method and capabilities.covers(self.pattern, resource)


def add_rules(rules: dict[str, tuple[Rule, ...]], entry: Entry) -> None:
    """Apply an answer's entry: add its rule, if any, for each Hand that it names, and drop their expired rules."""
    statement, hands = entry.detail["statement"], entry.detail.get("hands")
    if isinstance(statement, dict) and isinstance(hands, list):
        row = {**statement["rule"], "method": statement["method"], "call": entry.call}
        now = time_micros(entry.time)
        for hand in map(str, hands):
            kept = (rule for rule in rules.get(hand, ()) if now < rule.until)
            rules[hand] = (*kept, msgspec.convert(row, Rule))


def remove_rules(rules: dict[str, tuple[Rule, ...]], entry: Entry) -> None:
    """Apply a `revoke` entry: remove the rules that it names."""
    hand, gone = str(entry.detail["hand"]), msgspec.convert(entry.detail.get("rules", []), tuple[Rule, ...])
    if left := tuple(rule for rule in rules.get(hand, ()) if rule not in gone):
        rules[hand] = left
    else:
        rules.pop(hand, None)


def waiting_of(entry: Entry) -> tuple[str, int]:
    """Return the answer that a `call` entry records, and until when the call is held, 0 if it is not: `held`, `approved`
    (a call that it is made for was), or ""."""
    until = entry.detail.get("until", 0)
    if entry.verdict == "held":
        return "held", until if isinstance(until, int) else 0
    return "approved" if entry.detail.get("is_approved") else "", 0
