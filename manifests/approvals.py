"""Which calls wait for the operator, and which answers are valid (pure): the same for real calls and `kernel.check`.

A call waits if its caller itself wants that, if its method is a question to the operator (`asks`), if the capability that
allows it says `approval = true`, or if its caller is supervised, the method has effect external, and the capability does
not say `approval = false`. The same holds for each principal up the chain, as far as a call that was itself approved, or
one that its caller may make for anybody (`own`). A standing rule answers similar calls in advance: for at most what its
Hand holds, and until it expires.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from manifests import capabilities
from manifests.errors import PatternInvalid, TrustRefused
from manifests.grants import covers
from manifests.policy import ABOUT_ONESELF, Link, escape_invisible
from manifests.schema import Capability, Provided
from manifests.standing_rules import Rule
from manifests.state import State, authority
from manifests.trust import TrustStore
from wire.approval import Answer, Statement
from wire.errors import Refusal, SignatureInvalid

PER_RUN: Final = 5
PER_HAND: Final = 20
"""The most calls of one run, and of all runs of one Hand, that may wait at once."""

BODY_MOST: Final = 256 * 1024
"""The most bytes of arguments that a person is asked to read."""

RULE_DAYS: Final = 30
RULE_DAYS_MOST: Final = 366

_DAY: Final = 86_400_000_000
_ITSELF: Final = " asks you itself: "
UNASKED: Final = ABOUT_ONESELF | {"kernel.publish", "kernel.subscribe"}
"""Methods that never wait for the operator, and so cannot be granted with `approval = true`."""


class Reason(Struct, frozen=True, kw_only=True, gc=False):
    """A Hand in whose name the operator is asked, and why. itself: the call asks each time, so no rule can answer it."""

    hand: str
    name: str
    why: str
    itself: bool = False


def reasons_to_ask(
    links: Sequence[Link],
    provided: Provided,
    resource: str,
    rules: Mapping[str, tuple[Rule, ...]],
    now: int,
    wish: str = "",
) -> tuple[Reason, ...]:
    """Return the reasons to ask the operator about an allowed call; () to make it at once.

    links: the caller, then the callers above it. resource: in normal form. now: microseconds since 1970, for the rules' ends.
    wish: why the caller itself wants the operator asked. No rule answers a wish, or a method that `asks`.
    """
    found = [_wish_reason(links[0], wish)] if wish and links[0].grants is not None else []
    if provided.asks and links[0].grants is not None:
        found.append(_question_reason(links[0], provided.method))
    for depth, link in enumerate(links):
        if link.grants is None or provided.method in UNASKED or (depth and link.is_approved):
            break
        verdict = link.grants.verdict(provided.method, resource)
        why = _why_asked(link, verdict.approval, provided)
        if why and not any(rule.answers(provided.method, resource, now) for rule in rules.get(link.hand, ())):
            found.append(Reason(hand=link.hand, name=link.name, why=why))
        if verdict.owned:
            break
    return tuple(found)


def _wish_reason(link: Link, wish: str) -> Reason:
    return Reason(hand=link.hand, name=link.name, why=f"{link.name}{_ITSELF}{escape_invisible(wish)}", itself=True)


def _question_reason(link: Link, method: str) -> Reason:
    return Reason(hand=link.hand, name=link.name, why=f"{method} is a question to you", itself=True)


def logged_wish(asks: object) -> str:
    """Return a caller's own reason to ask the operator, from `asks` in its call's entry; "" if it had none."""
    for row in asks if isinstance(asks, list) else ():
        if isinstance(row, dict) and row.get("itself") and _ITSELF in str(row.get("why")):
            return str(row.get("why")).partition(_ITSELF)[2]
    return ""


def _why_asked(link: Link, approval: bool | None, provided: Provided) -> str:
    if approval:
        return f"{link.name} holds {provided.method} with approval = true"
    if approval is None and link.supervised and provided.effect == "external":
        return f"{link.name} has autonomy supervised, and {provided.method} has effect external"
    return ""


def check_room(of_run: int, of_hand: int) -> None:
    """Raise Refusal if PER_RUN calls of a run, or PER_HAND of its Hand, wait already."""
    if of_run >= PER_RUN:
        raise Refusal("approvals", f"{PER_RUN} calls of this run wait for approval already: `maniple approvals`")
    if of_hand >= PER_HAND:
        raise Refusal("approvals", f"{PER_HAND} calls of this Hand wait for approval already: `maniple approvals`")


def check_answer(trust: TrustStore, answer: Answer, held: Statement, names: Sequence[str], now: int) -> None:
    """Raise Refusal unless this answer is about exactly this held call, and signed by a key that may answer it.

    held: the call as the kernel holds it, with the answer's own verdict, time, why, rule and instead. names: of the Hands
    in whose name the operator was asked; the key must be trusted to seal each of them.
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
    """Raise Refusal if the answer has a rule that does not cover its call, or goes beyond its Hands' grants.

    resource: of the call, in normal form. now: microseconds since 1970.
    """
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


def answer_detail(answer: Answer, reasons: Sequence[Reason], instead: int) -> dict[str, object]:
    """Return the detail of an answer's entry. instead: the number of the operator's own call, 0 for none."""
    detail = answer.to_detail()
    if answer.statement.rule is not None:
        detail["hands"] = [reason.hand for reason in reasons]
    if instead:
        detail["instead"] = instead
    return detail


def denied_refusal(why: str) -> Refusal:
    """Return the refusal of a call that the operator denied. why: the operator's words, "" for none."""
    return Refusal("denied", f"the operator said no: {why}" if why else "the operator said no")


def reasons_after_start(link: Link) -> tuple[Reason, ...]:
    """Return the reasons to ask the operator again about a call that was held when the kernel ended."""
    return (Reason(hand=link.hand, name=link.name, why="it was held before the kernel ended"),)


def reason_rows(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    """Return the reasons as plain values, for entries and `maniple approvals`."""
    plain: list[dict[str, str]] = msgspec.to_builtins(list(reasons))
    return plain
