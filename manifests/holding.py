"""Calls that wait for the operator, as people are shown them, as they are signed, and what follows for clocks (pure).

What waits and which answers count is decided in approvals.py; here are the values that the kernel makes of a held call.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from manifests.approvals import Reason, told_of
from manifests.calls import OpenCall, chain, is_long_wait
from manifests.installed import Installed
from manifests.policy import Link, digest_query
from manifests.standing_rules import Rule
from manifests.state import State
from wire import headers, limits
from wire.approval import Answer, Statement
from wire.codec import NIL
from wire.entries import body_digest, time_text
from wire.errors import Refusal
from wire.ids import OPERATOR

WAITS: Final = ("kernel.spawn", "kernel.wait")
STILL: Final = (*WAITS, "kernel.sleep")
"""Calls that may wait for a run; those whose clocks stand still while that of what they are made for does."""

LISTED: Final = 25
"""Held calls that are told of at once: so many fit into one message, whatever their resources and labels."""

KEPT_MOST: Final = 128 * limits.MIB
SMALL: Final = 4 * limits.KIB
"""Bytes that all runs of one Hand may have the kernel keep of what they sent in calls that have no end yet, bodies and what
was uploaded before a provider took it; and how much of it is not counted at a time."""

SPAWNED_MOST: Final = 1_024
"""Runs that work at a time of all that the runs of one Hand have spawned: each of these may spawn as well, and so on."""

ELSEWHERE: Final = b"-"
"""The route of a call whose end goes to another call, and to no connection."""


def expired(call: OpenCall) -> Refusal:
    """What the caller hears when nobody answered in time."""
    return Refusal("expired", f"nobody answered whether {call.method} may be called, until {time_text(call.until)}")


def counts(held: Sequence[OpenCall], caller: str, hand: str) -> tuple[int, int]:
    """How many of the held calls a run made, and how many all runs of a Hand."""
    return sum(call.caller == caller for call in held), sum(call.by.hand == hand for call in held)


def waited_for(held: Iterable[OpenCall], now: int) -> set[int]:
    """The numbers of held calls, and of those up their chains for which nothing else is done meanwhile.

    now: microseconds since 1970.
    """
    waiting: set[int] = set()
    for call in held:
        link: OpenCall | None = call
        while link is not None and link.number not in waiting and (link is call or _only_waits(link, waiting, now)):
            waiting.add(link.number)
            link = link.parent
    return waiting


def _only_waits(call: OpenCall, waiting: set[int], now: int) -> bool:
    """Whether everything that is open for a call waits for the operator, for a run, or for a later moment."""
    return all(
        child.number in waiting or child.method in WAITS or is_long_wait(child, now) for child in call.children.values()
    )


def is_too_much(calls: Iterable[OpenCall], hand: str, size: int) -> bool:
    """Whether more is kept than KEPT_MOST of what the runs of a Hand have sent in open calls, now that so many bytes come.

    What is SMALL comes free: it is not looked for. Nobody but a Hand is bounded.
    """
    kept = (call for call in calls if call.by.hand == hand) if hand and size > SMALL else ()
    return sum(len(call.body) + sum(len(body) for _, body in call.early) for call in kept) > KEPT_MOST - size


def crowding(calls: Collection[OpenCall], places: int) -> set[str]:
    """The Hands that get none of the places that a provider has left, since they hold as many as these, or more.

    So it is also while nobody else waits: who comes later finds a place, whatever one Hand has open, or a few together. One
    of two places is all that a Hand gets, and a single one anybody's. Nobody but a Hand is bounded.
    """
    left = places - len(calls)
    if len(calls) < left:
        return set()
    return {hand for hand, count in Counter(one.by.hand for one in calls).items() if hand and count >= left}


def check_kept(calls: Iterable[OpenCall], hand: str, size: int) -> None:
    """Raise Refusal for a call with so large a body that too much would be kept for its Hand."""
    if is_too_much(calls, hand, size):
        most = KEPT_MOST >> 20
        raise Refusal("room", f"its open calls and uploads take {most} MiB already, and that is the most: await some")


def check_spawned(calls: Iterable[OpenCall], caller: str, hand: str, in_flight: int) -> None:
    """Raise Refusal for one more run that a run spawns, where it, or all of its Hand's, have too many that still work."""
    spawners = [call.caller for call in calls if not call.route and call.by.hand == hand]
    if spawners.count(caller) >= in_flight:
        raise Refusal("in_flight", f"{in_flight} runs that it spawned still work: wait, or raise in_flight")
    if len(spawners) >= SPAWNED_MOST:
        raise Refusal(
            "in_flight", f"{SPAWNED_MOST:,} runs that its Hand's runs spawned still work, and no more do: wait"
        )


def stands_still(call: OpenCall, provider: str, waiting: set[int], state: State) -> bool:
    """Whether a call's clock stands still because it, or what it waits for, waits for the operator; or since all does, or
    the Hand that makes it or the one that answers it, whose id is `provider`, is paused.
    """
    if not state.paused.isdisjoint((call.by.hand, provider)):
        return True
    waits_there = call.method in STILL and call.parent is not None and call.parent.number in waiting
    return call.number in waiting or waits_there or (state.frozen and (call.caller != OPERATOR or not call.route))


def listed_after(held: Iterable[OpenCall], number: object) -> list[OpenCall]:
    """The first LISTED held calls with a number above that one; from the first on without one."""
    after = number if isinstance(number, int) else 0
    return sorted((call for call in held if call.number > after), key=lambda call: call.number)[:LISTED]


def row(call: OpenCall, held: Iterable[OpenCall], hand: Installed) -> dict[str, object]:
    """A held call for whoever is to answer it. hand: the caller's, as it was when it called."""
    what = _identity_of(call)
    return {
        "call": call.number,
        "like": min(one.number for one in held if one.by.hand == call.by.hand and _identity_of(one) == what),
        "run": call.caller,
        "hand": hand.name,
        "version": hand.version,
        "chain": [{"principal": one.caller, "hand": one.by.name, "method": one.method} for one in chain(call.parent)],
        "method": call.method,
        "resource": call.resource,
        "effect": call.provided.effect,
        "summary": call.provided.summary,
        "labels": call.shown_labels(),
        "size": len(call.body),
        "upload": call.upload,
        "asks": told_of(call.asks),
        "since": time_text(call.began),
        "until": time_text(call.until),
        "entry": call.seq,
    }


def heard_of(call: OpenCall) -> dict[str, object]:
    """What the event `kernel.held` tells, to whoever may hear it: nothing that its caller has seen or said."""
    return {"call": call.number, "hand": call.by.name, "method": call.method, "until": time_text(call.until)}


def _identity_of(call: OpenCall) -> tuple[object, ...]:
    """All that its operator is shown of a call, but which one it is, of which run, and when: what one answer is about."""
    callers = [(one.by.hand, one.method) for one in chain(call.parent)]
    asked = call.by.hand, call.method, call.resource, call.body, call.most
    return (*asked, call.upload, call.shown_labels(), callers, told_of(call.asks))


def statement(call: OpenCall, key: bytes, origin: str, hand: Installed) -> Statement:
    """What an answer to a held call has to say, but for the answer itself. key: of the caller's digests."""
    return Statement(
        origin=origin, call=call.number, hand=hand.id, seal=hand.seal, method=call.method,
        resource=digest_query(call.resource, key), arguments=body_digest(key, call.body), verdict="approved", time=0,
    )  # fmt: skip


def as_answered(held: Statement, answer: Answer, body: bytes | None, key: bytes) -> Statement:
    """The statement about a held call with the answer's own words. body: of the call that is to be made instead."""
    statement = answer.statement
    instead = body_digest(key, body) if statement.verdict == "edited" and body is not None else None
    return replace(
        held, verdict=statement.verdict, time=statement.time, why=statement.why, rule=statement.rule, instead=instead
    )


def in_whose_names(hand: Installed, reasons: Iterable[Reason]) -> list[str]:
    """The Hands that a key must be trusted to seal for its answer to count."""
    return [hand.name, *(reason.name for reason in reasons)]


def instead_of(call: OpenCall, number: int, body: bytes | None, now: float) -> OpenCall:
    """The operator's own call instead of a held one. now: monotonic seconds. Raises Refusal where there can be none."""
    if body is None:
        raise Refusal("edit", "the other arguments are missing")
    if call.method.startswith("kernel.") or call.upload:
        raise Refusal("edit", f"{call.method} cannot be called instead: deny it, then call it yourself")
    own = OpenCall(
        number, OPERATOR, Link(hand="", name=OPERATOR, grants=None), ELSEWHERE, 0, provided=call.provided,
        resource=call.resource, body=body, parent=None, deadline=now + call.left, labels=call.labels, most=call.most,
        upload=False,
    )  # fmt: skip
    own.heir, own.depth = call, call.depth
    return own


def handed_down(call: OpenCall, header: headers.End, body: bytes) -> tuple[headers.End, bytes]:
    """The end of a call that was made instead of another one, for that one."""
    if call.was_streamed:
        text = f"{call.method} streamed its reply to the operator's own call, and it went no further"
        return headers.Failed(number=0, code="edited", text=text), NIL
    return header if isinstance(header, headers.Refused) else replace(header, cost=None, used=None), body


def rules(state: State, now: int) -> dict[str, list[Rule]]:
    """The rules that hold now, by the names of their Hands."""
    by_name = {
        hand.name: [one for one in state.rules.get(hand.id, ()) if now < one.until] for hand in state.hands.values()
    }
    return {name: given for name, given in by_name.items() if given}
