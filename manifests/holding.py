"""Held calls: their rows, statements and clocks, and the limits on what is kept for open calls (pure).

approvals.py decides which calls wait and which answers are valid; this module makes the kernel's values of a held call.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from manifests.approvals import Reason, reason_rows
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

WAITING_METHODS: Final = ("kernel.spawn", "kernel.wait")
STILL_METHODS: Final = (*WAITING_METHODS, "kernel.sleep")
"""WAITING_METHODS: those that may wait for a run. STILL_METHODS: those whose calls' clocks stop while that of their parent is
stopped."""

LISTED: Final = 25
"""The most held calls in one reply: they fit into one message, whatever their resources and labels."""

KEPT_MOST: Final = 128 * limits.MIB
SMALL: Final = 4 * limits.KIB
"""KEPT_MOST: the most bytes that the kernel keeps for all runs of one Hand: bodies of their open calls, and uploads that no
provider has taken yet. SMALL: a message of so few bytes is let through without counting."""

SPAWNED_MOST: Final = 1_024
"""The most runs that work at a time of all that runs of one Hand spawned: a spawned run may spawn as well, and so on."""

ELSEWHERE: Final = b"-"
"""The route of a call whose end goes to another call instead of a connection."""


def expired_refusal(call: OpenCall) -> Refusal:
    """Return the refusal of a held call that nobody answered in time."""
    return Refusal("expired", f"nobody answered whether {call.method} may be called, until {time_text(call.until)}")


def count_held(held: Sequence[OpenCall], caller: str, hand: str) -> tuple[int, int]:
    """Return how many of the held calls a run made, and how many all runs of a Hand."""
    return sum(call.caller == caller for call in held), sum(call.by.hand == hand for call in held)


def all_waiting(held: Iterable[OpenCall], now: int) -> set[int]:
    """Return the numbers of held calls, and of calls up their chains that have no other work in progress.

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
    """Whether all open calls made for a call wait for the operator, for a run, or for a later time."""
    return all(
        child.number in waiting or child.method in WAITING_METHODS or is_long_wait(child, now)
        for child in call.children.values()
    )


def exceeds_kept(calls: Iterable[OpenCall], hand: str, size: int) -> bool:
    """Whether `size` more bytes would make the kernel keep more than KEPT_MOST for a Hand's open calls.

    A message of at most SMALL bytes is let through without counting. The operator is not limited.
    """
    kept = (call for call in calls if call.by.hand == hand) if hand and size > SMALL else ()
    return sum(len(call.body) + sum(len(body) for _, body in call.early) for call in kept) > KEPT_MOST - size


def crowding_hands(calls: Collection[OpenCall], places: int) -> set[str]:
    """Return the Hands that get no more of a provider's places, since they hold at least as many as are left.

    This applies even while no other Hand waits, so that a newcomer finds a place, whatever one Hand or a few have open. Of
    two places a Hand gets one; a single place is anybody's. The operator is not limited. places: of the provider, in all.
    """
    left = places - len(calls)
    if len(calls) < left:
        return set()
    return {hand for hand, count in Counter(one.by.hand for one in calls).items() if hand and count >= left}


def check_kept(calls: Iterable[OpenCall], hand: str, size: int) -> None:
    """Raise Refusal for a call whose body would make the kernel keep too much for its Hand. size: of the body, in bytes."""
    if exceeds_kept(calls, hand, size):
        most = KEPT_MOST >> 20
        raise Refusal("room", f"its open calls and uploads take {most} MiB already, and that is the most: await some")


def check_spawned(calls: Iterable[OpenCall], caller: str, hand: str, in_flight: int) -> None:
    """Raise Refusal for one more spawned run if those of this caller, or of all its Hand's runs, are too many already."""
    spawners = [call.caller for call in calls if not call.route and call.by.hand == hand]
    if spawners.count(caller) >= in_flight:
        raise Refusal("in_flight", f"{in_flight} runs that it spawned still work: wait, or raise in_flight")
    if len(spawners) >= SPAWNED_MOST:
        raise Refusal(
            "in_flight", f"{SPAWNED_MOST:,} runs that its Hand's runs spawned still work, and no more do: wait"
        )


def is_clock_stopped(call: OpenCall, provider: str, waiting: set[int], state: State) -> bool:
    """Whether a call's clock is stopped: it, or what it waits for, waits for the operator; or its caller or provider is
    paused; or the home is frozen. provider: the Hand's id. waiting: see all_waiting().
    """
    if not state.paused.isdisjoint((call.by.hand, provider)):
        return True
    waits_there = call.method in STILL_METHODS and call.parent is not None and call.parent.number in waiting
    return call.number in waiting or waits_there or (state.frozen and (call.caller != OPERATOR or not call.route))


def listed_after(held: Iterable[OpenCall], number: object) -> list[OpenCall]:
    """Return the first LISTED held calls with a number above `number`; from the first on if it is not a number."""
    after = number if isinstance(number, int) else 0
    return sorted((call for call in held if call.number > after), key=lambda call: call.number)[:LISTED]


def held_row(call: OpenCall, held: Iterable[OpenCall], hand: Installed) -> dict[str, object]:
    """Return a held call as a row of `kernel.approvals`. hand: the caller's, as it was when it called."""
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
        "asks": reason_rows(call.asks),
        "since": time_text(call.began),
        "until": time_text(call.until),
        "entry": call.seq,
    }


def event_body(call: OpenCall) -> dict[str, object]:
    """Return the body of the event `kernel.held`. It contains no data of the caller."""
    return {"call": call.number, "hand": call.by.name, "method": call.method, "until": time_text(call.until)}


def _identity_of(call: OpenCall) -> tuple[object, ...]:
    """Return all that the operator is shown of a call except its number, run and time: equal calls get one answer."""
    callers = [(one.by.hand, one.method) for one in chain(call.parent)]
    asked = call.by.hand, call.method, call.resource, call.body, call.most
    return (*asked, call.upload, call.shown_labels(), callers, reason_rows(call.asks))


def statement_of(call: OpenCall, key: bytes, origin: str, hand: Installed) -> Statement:
    """Return the statement that an answer to a held call must sign, apart from the answer. key: of the caller's digests."""
    return Statement(
        origin=origin, call=call.number, hand=hand.id, seal=hand.seal, method=call.method,
        resource=digest_query(call.resource, key), arguments=body_digest(key, call.body), verdict="approved", time=0,
    )  # fmt: skip


def with_answer(held: Statement, answer: Answer, body: bytes | None, key: bytes) -> Statement:
    """Return the statement about a held call with an answer's own fields. body: of the call to be made instead."""
    statement = answer.statement
    instead = body_digest(key, body) if statement.verdict == "edited" and body is not None else None
    return replace(
        held, verdict=statement.verdict, time=statement.time, why=statement.why, rule=statement.rule, instead=instead
    )


def names_to_seal(hand: Installed, reasons: Iterable[Reason]) -> list[str]:
    """Return the names of the Hands that a key must be trusted to seal for its answer to be valid."""
    return [hand.name, *(reason.name for reason in reasons)]


def replacement(call: OpenCall, number: int, body: bytes | None, now: float) -> OpenCall:
    """Make the operator's own call that replaces a held one. now: monotonic seconds. Raises Refusal if that is impossible."""
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


def end_for_heir(call: OpenCall, header: headers.End, body: bytes) -> tuple[headers.End, bytes]:
    """Return header and body of a replacement's end, for the held call that it replaced. call: the replacement."""
    if call.was_streamed:
        text = f"{call.method} streamed its reply to the operator's own call, and it went no further"
        return headers.Failed(number=0, code="edited", text=text), NIL
    return header if isinstance(header, headers.Refused) else replace(header, cost=None, used=None), body


def current_rules(state: State, now: int) -> dict[str, list[Rule]]:
    """Return the rules in force, by the names of their Hands. now: microseconds since 1970."""
    by_name = {
        hand.name: [one for one in state.rules.get(hand.id, ()) if now < one.until] for hand in state.hands.values()
    }
    return {name: given for name, given in by_name.items() if given}
