"""Whether a call may be made (pure): one function for the call itself and for `kernel.check`, so that they always agree.

A call needs the caller's grant and, when it is made while answering, the grant of everybody up the chain, until a hop
whose own grant is marked `own`: no confused deputy. A chain is at most CHAIN_MAX deep, and a Hand already in it is not
asked again.
"""

import hmac
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from manifests import capabilities
from manifests.errors import ResourceInvalid
from manifests.grants import HAND_KERNEL_METHODS, GrantSet, is_method, why_not
from manifests.installed import Installed
from manifests.schema import Provided
from manifests.state import State
from manifests.visibility import is_visible
from wire import limits
from wire.entries import Said
from wire.errors import NotNow, Refusal
from wire.rates import Pace

ABOUT_ONESELF: Final = frozenset(
    f"kernel.{verb}" for verb in ["check", "budget", "wait", "list", "describe", "settings", "sleep", "note"]
)
"""Kernel methods that every run may call without a grant: they show and touch only what is the caller's own."""

SLEEP: Final = "kernel.sleep"
"""How a run waits; a task run's loop, too, for each of its timers."""


class Link(Struct, frozen=True, kw_only=True, gc=False):
    """One principal in a chain. hand: the id of its Hand, "" for the operator, who has every grant (grants None).

    is_approved: the call that it made in this chain had the operator's yes, and what is made for it needs none of its.
    serves: it is a service, which may have capabilities that are own.
    """

    hand: str
    name: str
    grants: GrantSet | None
    readonly: bool = False
    supervised: bool = False
    is_approved: bool = False
    serves: bool = False


def link_of(principal: str, hand: Installed | None, grants: GrantSet | None) -> Link:
    """A peer as a chain has it; hand: None for the operator."""
    if hand is None:
        return Link(hand="", name=principal, grants=None)
    section = hand.package.manifest.hand
    return Link(
        hand=hand.id, name=hand.name, grants=grants, readonly=section.autonomy == "readonly",
        supervised=section.autonomy == "supervised", serves=section.kind == "service",
    )  # fmt: skip


def admit(pace: Pace, per_minute: int, made: int, in_flight: int, method: str = "") -> None:
    """One more request of a peer, at the pace that its Rate tells, with `made` calls open already.

    Raises Refusal beyond its limits, NotNow, which ends it, in a flood. Who is told to wait may: a sleep that was refused
    would be asked for again at once, by a run's own loop, until that is a flood.
    """
    if pace == "flood":
        raise NotNow(f"a flood: more than twice its {per_minute} calls a minute")
    if pace == "refuse" and method != SLEEP:
        raise Refusal("rate", f"more than its {per_minute} calls a minute: wait, or raise calls_per_minute")
    if made >= in_flight:
        raise Refusal("in_flight", f"{in_flight} calls are open already: await some, or raise in_flight")


def normal(provided: Provided, resource: str) -> str:
    """The resource as its provider will get it. Raises Refusal for text that has no normal form."""
    if len(resource.encode(errors="replace")) > limits.RESOURCE_MAX:
        raise Refusal("resource", f"a resource is at most {limits.RESOURCE_MAX} bytes")
    try:
        return capabilities.normalise(provided.resource, resource)
    except ResourceInvalid as error:
        raise Refusal(
            "resource", f"{shown(resource)!r} is not a {provided.resource} to {provided.method}: {error}"
        ) from None


def decide(chain: Sequence[Link], provided: Provided, resource: str, *, provider: str) -> None:
    """Return if the first of the chain may call the method on the normal resource; otherwise raise Refusal with why.

    provider: the id of the Hand that answers, "" for the kernel.
    """
    method, caller = provided.method, chain[0]
    if caller.grants is None:
        return
    if method.startswith("kernel.") and method not in HAND_KERNEL_METHODS:
        raise Refusal("capability", f"{method} is the operator's alone; no grant gives it to a Hand")
    if len(chain) > limits.CHAIN_MAX:
        raise Refusal("chain", f"a chain of calls is at most {limits.CHAIN_MAX} deep")
    if provider and any(link.hand == provider for link in chain):
        raise Refusal("chain", f"{method} is answered by a Hand that is already in this chain of calls")
    if method in ABOUT_ONESELF:
        return
    for link in chain:
        if link.readonly and provided.effect != "read":
            raise Refusal("readonly", f"{link.name} has autonomy readonly, and {method} has effect {provided.effect}")
        if link.grants is None:
            return
        if link is caller and link.grants.lends(method, resource):
            lent = f"{link.name} may lend {method} on {shown(resource)!r} to what it spawns, and not use it itself"
            raise Refusal("capability", lent)
        if not link.grants.allows(method, resource):
            grant = why_not(link.grants, method, resource)
            whose = "" if link is caller else f" (in whose name {caller.name} calls)"
            is_hint = link is not caller and caller.serves and not method.startswith("kernel.")
            hint = f", and in {caller.name}'s HAND.toml it is not own = true" if is_hint else ""
            raise Refusal(
                "capability", f"{link.name}{whose} holds no grant for {method} on {shown(resource)!r}{hint}", grant
            )
        if link.grants.owns(method, resource):
            return


def shown(resource: str) -> str:
    """A resource for the log and for people, or words that may hold one: without a URL's query and what follows it."""
    return visible(resource.split("?", 1)[0] + "?…" if "://" in resource and "?" in resource else resource)


def visible(text: str) -> str:
    """Words of the kernel's own in which each character is one to see."""
    text = text[: limits.RESOURCE_MAX]  # first, for it may be long
    return "".join(char if is_visible(char) else f"\\u{ord(char):04x}" for char in text)[: limits.RESOURCE_MAX]


def refused(refusal: Refusal, principal: str, run: str, method: str, resource: str) -> Said:
    """What the log says of a call that was refused."""
    mend = f"; a grant that would allow it: {refusal.grant}" if refusal.grant else ""
    return {
        "principal": principal, "run": run, "verdict": "refused", "method": method if is_method(method) else shown(method),
        "resource": shown(resource), "why": visible(refusal.why[: limits.WHY_MAX] + mend), "detail": {"code": refusal.code},
    }  # fmt: skip


def logged(resource: str, key: bytes) -> str:
    """A resource as the log holds it: a URL's query only as a digest under the caller's key."""
    path, mark, query = resource.partition("?")
    if not mark or "://" not in path:
        return resource
    return f"{path}?hmac-sha256={hmac.digest(key, query.encode(), 'sha256').hex()}"


def within_state(
    state: State, caller: Installed | None, owner: Installed | None, method: str, resource: str = ""
) -> None:
    """Raise Refusal while the home is frozen, or the Hand that calls or that answers is paused or quarantined.

    caller, owner: None for the operator and the kernel. The operator's kernel.* passes at any time. A Hand that is spawned
    or fired counts as the one that answers.
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
        raise quarantined(owner.name, state.quarantined[owner.id])


def quarantined(name: str, why: str) -> Refusal:
    """The refusal of what a quarantined Hand should answer; its last words are for its operator."""
    mend = f"`maniple start {name}`"
    return Refusal("quarantined", f"{name} is quarantined ({why}): {mend}", bare=f"{name} is quarantined: {mend}")
