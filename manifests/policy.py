"""The authorisation of calls (pure): `decide` judges real calls and `kernel.check` alike, so the two always agree.

A call needs a grant of its caller. A call made while answering another also needs a grant of every principal up the
chain, until a grant marked `own` ends the walk: no confused deputy. A chain is at most CHAIN_MAX deep, and no Hand occurs
in it twice.
"""

import hmac
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from manifests import capabilities
from manifests.errors import ResourceInvalid
from manifests.grants import HAND_KERNEL_METHODS, GrantSet, is_method, missing_grant
from manifests.installed import Installed
from manifests.schema import Provided
from manifests.state import State
from manifests.visibility import WHITESPACE, is_visible
from wire import limits
from wire.entries import Said
from wire.errors import NotNow, Refusal
from wire.rates import Pace

ABOUT_ONESELF: Final = frozenset(
    f"kernel.{verb}" for verb in ["check", "budget", "wait", "list", "describe", "settings", "sleep", "note"]
)
"""Kernel methods that every run may call without a grant: they read and change only the caller's own state."""

SLEEP: Final = "kernel.sleep"
"""The method with which a run waits. The event loop of a task run calls it for each of its timers."""


class Link(Struct, frozen=True, kw_only=True, gc=False):
    """One principal in a chain. hand: the id of its Hand, "" for the operator, who has every grant (grants None).

    is_approved: the operator approved its call in this chain, so calls made for that one need no approval on its behalf.
    serves: whether it is a service, whose capabilities may be marked `own`. spawns: whether it stands in this chain because
    it began the run below it; what it lends counts only then.
    """

    hand: str
    name: str
    grants: GrantSet | None
    readonly: bool = False
    supervised: bool = False
    is_approved: bool = False
    serves: bool = False
    spawns: bool = False


def link_of(principal: str, hand: Installed | None, grants: GrantSet | None) -> Link:
    """Return the Link of a principal. hand: None for the operator."""
    if hand is None:
        return Link(hand="", name=principal, grants=None)
    section = hand.package.manifest.hand
    return Link(
        hand=hand.id, name=hand.name, grants=grants, readonly=section.autonomy == "readonly",
        supervised=section.autonomy == "supervised", serves=section.kind == "service",
    )  # fmt: skip


def admit(pace: Pace, per_minute: int, made: int, in_flight: int, method: str = "") -> None:
    """Check one more request of a peer against its limits. pace: the verdict of its Rate; made: its open calls.

    Raises Refusal above a limit, and NotNow, which ends the peer, in a flood. SLEEP is exempt from the rate: a run's event
    loop would retry a refused sleep at once, until that is a flood.
    """
    if pace == "flood":
        raise NotNow(f"a flood: more than twice its {per_minute} calls a minute")
    if pace == "refuse" and method != SLEEP:
        raise Refusal("rate", f"more than its {per_minute} calls a minute: wait, or raise calls_per_minute")
    if made >= in_flight:
        raise Refusal("in_flight", f"{in_flight} calls are open already: await some, or raise in_flight")


def normalise(provided: Provided, resource: str) -> str:
    """Return the normal form of a resource, by the kind that its provider declared. Raises Refusal if it has none."""
    if len(resource.encode(errors="replace")) > limits.RESOURCE_MAX:
        raise Refusal("resource", f"a resource is at most {limits.RESOURCE_MAX} bytes")
    try:
        return capabilities.normalise(provided.resource, resource)
    except ResourceInvalid as error:
        raise Refusal(
            "resource", f"{redact(resource)!r} is not a {provided.resource} to {provided.method}: {error}"
        ) from None


def decide(chain: Sequence[Link], provided: Provided, resource: str, *, provider: str) -> None:
    """Raise Refusal unless chain[0] may call the method on the resource, which is in normal form.

    chain: the caller, then the callers above it. provider: the id of the Hand that answers, "" for the kernel.
    """
    method, caller = provided.method, chain[0]
    if caller.grants is None:
        return
    if method.startswith("kernel.") and method not in HAND_KERNEL_METHODS:
        raise Refusal("capability", f"{method} is the operator's alone; no grant gives it to a Hand")
    if len(chain) > limits.CHAIN_MAX:
        raise Refusal("chain", f"a chain of calls is at most {limits.CHAIN_MAX} deep")
    if provider and provider in [link.hand for link in chain]:
        raise Refusal("chain", f"{method} is answered by a Hand that is already in this chain of calls")
    if method in ABOUT_ONESELF:
        return
    for link in chain:
        if link.readonly and provided.effect != "read":
            raise Refusal("readonly", f"{link.name} has autonomy readonly, and {method} has effect {provided.effect}")
        if link.grants is None:
            return
        verdict = link.grants.verdict(method, resource)
        if verdict.is_lent and not link.spawns:
            lent = f"may lend {method} on {redact(resource)!r} to what it spawns, and not use it itself"
            raise Refusal("capability", f"{_named(link, caller)} {lent}")
        if not verdict.allowed:
            grant = missing_grant(link.grants, method, resource)
            is_hint = link is not caller and caller.serves and not method.startswith("kernel.")
            hint = (
                f", and in {caller.name}'s HAND.toml it is not own = true"
                if is_hint
                else ", nor lends it" * link.spawns
            )
            on = f" on {redact(resource)!r}" if resource else ""
            raise Refusal("capability", f"{_named(link, caller)} holds no grant for {method}{on}{hint}", grant)
        if verdict.owned:
            return


def _named(link: Link, caller: Link) -> str:
    return link.name if link is caller else f"{link.name} (in whose name {caller.name} calls)"


def redact(resource: str) -> str:
    """Return a resource, or a text that may contain one, for the log and for people: cut off at a URL's query."""
    return escape_invisible(resource.split("?", 1)[0] + "?…" if "://" in resource and "?" in resource else resource)


def escape_invisible(text: str) -> str:
    """Return the text, at most RESOURCE_MAX characters of it, with \\n or \\uXXXX for each character that cannot be seen."""
    text = text[: limits.RESOURCE_MAX]  # before the loop, since the text may be long
    seen = (char if is_visible(char) else WHITESPACE.get(char) or f"\\u{ord(char):04x}" for char in text)
    return "".join(seen)[: limits.RESOURCE_MAX]


def refusal_entry(refusal: Refusal, principal: str, run: str, method: str, resource: str) -> Said:
    """Return the fields of a refused call's log entry."""
    mend = f"; a grant that would allow it: {refusal.grant}" if refusal.grant else ""
    return {
        "principal": principal, "run": run, "verdict": "refused", "method": method if is_method(method) else redact(method),
        "resource": redact(resource), "why": escape_invisible(refusal.why[: limits.WHY_MAX] + mend),
        "detail": {"code": refusal.code},
    }  # fmt: skip


def digest_query(resource: str, key: bytes) -> str:
    """Return a resource as the log stores it: with a URL's query replaced by its HMAC-SHA256 under the caller's key."""
    path, mark, query = resource.partition("?")
    if not mark or "://" not in path:
        return resource
    return f"{path}?hmac-sha256={hmac.digest(key, query.encode(), 'sha256').hex()}"


def check_state(
    state: State, caller: Installed | None, owner: Installed | None, method: str, resource: str = ""
) -> None:
    """Raise Refusal while the home is frozen, the caller or the provider is paused, or the provider is quarantined.

    caller: None for the operator, whose kernel.* calls always pass. owner: the provider, None for the kernel. For
    kernel.spawn and kernel.fire, the provider is the Hand that they start.
    """
    if caller is None and method.startswith("kernel."):
        return
    if state.frozen:
        raise Refusal("frozen", "everything is frozen: `maniple thaw` lets it go on")
    owner = state.hands.get(resource) if method in ("kernel.spawn", "kernel.fire") else owner
    for hand in (caller, owner):
        if hand is not None and hand.id in state.paused:
            raise Refusal("paused", f"{hand.name} is paused: `maniple resume {hand.name}`")
    if owner is not None and owner.id in state.quarantined:
        raise quarantine_refusal(owner.name, state.quarantined[owner.id])


def quarantine_refusal(name: str, why: str) -> Refusal:
    """Return the refusal of a call to a quarantined Hand. Only its operator is told why it is quarantined."""
    mend = f"`maniple logs {name}` shows more, `maniple start {name}` tries again"
    return Refusal("quarantined", f"{name} is quarantined ({why}): {mend}", bare=f"{name} is quarantined: {mend}")
