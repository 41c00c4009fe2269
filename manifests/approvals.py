"""Which calls wait for the operator, and which answers count (pure): one function for the call and for `kernel.check`.

A call waits when its caller itself wants that, when its method is a question to the operator (`asks`), when the capability
it is made under says `approval = true`, or when its caller is supervised, the method acts beyond this machine, and the
capability does not say `approval = false`. Whoever is further up the chain is asked for as well, up to a call that was
itself approved, or that its caller may make for anybody (`own`). A rule is an answer for the like: at most what its Hand
holds, and only until it expires.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from manifests import capabilities
from manifests.errors import PatternInvalid, TrustRefused
from manifests.grants import GrantSet, covers
from manifests.policy import ABOUT_ONESELF, Link, escape_invisible
from manifests.schema import Capability, Provided
from manifests.standing_rules import Rule
from manifests.state import State, authority
from manifests.trust import TrustStore
from wire.approval import Answer, Statement
from wire.errors import Refusal, SignatureInvalid

PER_RUN: Final = 5
PER_HAND: Final = 20
"""Calls of one run, and of all runs of one Hand, that may wait at once."""

BODY_MOST: Final = 256 * 1024
"""Bytes of arguments that a person can be asked to read."""

RULE_DAYS: Final = 30
RULE_DAYS_MOST: Final = 366

_DAY: Final = 86_400_000_000
_ITSELF: Final = " asks you itself: "
UNASKED: Final = ABOUT_ONESELF | {"kernel.publish", "kernel.subscribe"}
"""Methods about which nobody is ever asked, and which so cannot be granted with `approval = true`."""


class Reason(Struct, frozen=True, kw_only=True, gc=False):
    """In whose name the operator is asked, and what says so: its manifest, or it itself, each time anew."""

    hand: str
    name: str
    why: str
    itself: bool = False


def asking(
    links: Sequence[Link],
    provided: Provided,
    resource: str,
    rules: Mapping[str, tuple[Rule, ...]],
    now: int,
    wish: str = "",
) -> tuple[Reason, ...]:
    """For whom the operator is to be asked before the first of a chain makes this call, which it may; () for nobody.

    resource: in normal form. now: microseconds since 1970, for the rules' ends. wish: why the first wants him asked; no rule
    answers that, nor a method that is itself a question.
    """
    found = [_wished(links[0], wish)] if wish and links[0].grants is not None else []
    if provided.asks and links[0].grants is not None:
        found.append(_question(links[0], provided.method))
    for depth, link in enumerate(links):
        if link.grants is None or provided.method in UNASKED or (depth and link.is_approved):
            break
        why = _why(link, link.grants, provided, resource)
        if why and not any(rule.answers(provided.method, resource, now) for rule in rules.get(link.hand, ())):
            found.append(Reason(hand=link.hand, name=link.name, why=why))
        if link.grants.owns(provided.method, resource):
            break
    return tuple(found)


def _wished(link: Link, wish: str) -> Reason:
    return Reason(hand=link.hand, name=link.name, why=f"{link.name}{_ITSELF}{escape_invisible(wish)}", itself=True)


def _question(link: Link, method: str) -> Reason:
    return Reason(hand=link.hand, name=link.name, why=f"{method} is a question to you", itself=True)


def wish_of(asks: object) -> str:
    """Why a caller itself wanted the operator asked, from what its call's entry says of that (`asks`); "" if it did not."""
    for row in asks if isinstance(asks, list) else ():
        if isinstance(row, dict) and row.get("itself") and _ITSELF in str(row.get("why")):
            return str(row.get("why")).partition(_ITSELF)[2]
    return ""


def _why(link: Link, grants: GrantSet, provided: Provided, resource: str) -> str:
    approval = grants.approval(provided.method, resource)
    if approval:
        return f"{link.name} holds {provided.method} with approval = true"
    if approval is None and link.supervised and provided.effect == "external":
        return f"{link.name} has autonomy supervised, and {provided.method} has effect external"
    return ""


def check_room(of_run: int, of_hand: int) -> None:
    """Raise Refusal when so many calls of a run and of its Hand wait already that one more may not."""
    if of_run >= PER_RUN:
        raise Refusal("approvals", f"{PER_RUN} calls of this run wait for approval already: `maniple approvals`")
    if of_hand >= PER_HAND:
        raise Refusal("approvals", f"{PER_HAND} calls of this Hand wait for approval already: `maniple approvals`")


def judge(trust: TrustStore, answer: Answer, held: Statement, names: Sequence[str], now: int) -> None:
    """Raise Refusal unless this answer is about exactly this held call, by a key that may give it.

    held: the call as the kernel has it, with verdict, time, why, rule and instead of the answer's own. names: of the Hands
    in whose name the operator was asked, each of which the key must be trusted to seal.
    """
    if answer.statement != held:
        raise Refusal("answer", f"this answer is not about call {held.call} as it waits: see `maniple approvals`")
    try:
        key = trust.find(answer.key)
        answer.verify(key.verify_key)
    except (TrustRefused, SignatureInvalid) as error:
        raise Refusal("answer", f"this answer does not count: {error}") from None
    shown = f"{key.name}+{key.id}"
    if not key.is_usable(now):
        raise Refusal("answer", f"this answer does not count: the key {shown} is revoked, or has expired")
    for name in names:
        if not key.seals(name):
            raise Refusal("answer", f"this answer does not count: the key {shown} is not trusted to seal {name}")


def check_rule(answer: Answer, reasons: Sequence[Reason], state: State, resource: str, now: int) -> None:
    """Raise Refusal for a rule that goes beyond what it answers, or beyond what its Hands hold. resource: in normal form."""
    rule, method = answer.statement.rule, answer.statement.method
    if rule is None:
        return
    if answer.statement.verdict != "approved":
        raise Refusal("rule", "only a yes can be a rule")
    if any(reason.itself for reason in reasons):
        raise Refusal("rule", f"{reasons[0].name} asks you itself, each time: no rule answers that")
    try:
        capabilities.check_pattern(rule.pattern)
    except PatternInvalid as error:
        raise Refusal("rule", f"{error.why}: {error.instead}") from None
    wanted = Capability(method=method, allow=(rule.pattern,), approval=True)
    if not covers(wanted, method, resource):
        raise Refusal("rule", f"{rule.pattern!r} does not cover what is asked for: give a pattern that does")
    if not now < rule.until <= now + RULE_DAYS_MOST * _DAY:
        raise Refusal("rule", f"a rule holds for 1 to {RULE_DAYS_MOST} days")
    for reason in reasons:
        hand = state.by_id(reason.hand)
        if hand is None or not authority(state, hand).includes(wanted):
            raise Refusal("rule", f"{reason.name} does not hold {method} on all of {rule.pattern!r}: give less")


def detail(answer: Answer, reasons: Sequence[Reason], instead: int) -> dict[str, object]:
    """What the entry of an answer says. instead: the operator's own call, 0 for none."""
    detail = answer.to_detail()
    if answer.statement.rule is not None:
        detail["hands"] = [reason.hand for reason in reasons]
    if instead:
        detail["instead"] = instead
    return detail


def denied(why: str) -> Refusal:
    """What the caller of a call hears that the operator did not let pass."""
    return Refusal("denied", f"the operator said no: {why}" if why else "the operator said no")


def asked_again(link: Link) -> tuple[Reason, ...]:
    """For whom the operator is asked about a call that was held when the kernel ended."""
    return (Reason(hand=link.hand, name=link.name, why="it was held before the kernel ended"),)


def told_of(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    """The reasons as entries and `maniple approvals` show them."""
    plain: list[dict[str, str]] = msgspec.to_builtins(list(reasons))
    return plain
