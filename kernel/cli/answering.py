"""The operator's answers to held calls (acts): what waits, with its arguments, and statements signed with a sealing key."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kernel.cli import founding, keyfile, replies, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session
from manifests import capabilities
from manifests.approvals import Reason
from manifests.waiting import WAITS
from wire import codec
from wire.approval import Answer, RuleSaid, Statement
from wire.entries import Body
from wire.errors import CodecError
from wire.signing import SigningKey

QUESTION: Final = "ask.person"
"""The method whose calls are questions: `maniple answer` answers them with a text, where others are approved."""


COMING: Final = ("working", "over_budget")
"""The states of a run whose process is being made."""

PATIENCE_S: Final = 10.0
"""Seconds in which a run must be back that a kernel has just taken up."""

_LOOK_S: Final = 0.05


class Caller(Struct, frozen=True, kw_only=True):
    """One call up the chain: who made it."""

    principal: str
    hand: str
    method: str


class Held(Struct, frozen=True, kw_only=True):
    """A row of kernel.approvals. like: the first one that asks for the same; entry: of the call, in the log."""

    call: int
    like: int
    run: str
    hand: str
    version: str
    chain: tuple[Caller, ...]
    method: str
    resource: str
    effect: str
    summary: str
    labels: tuple[str, ...]
    size: int
    upload: bool
    asks: tuple[Reason, ...]
    since: str
    until: str
    entry: int


class Whole(Held, frozen=True, kw_only=True):
    """One of them in full. instead: the digest of the other arguments that were named."""

    body: bytes
    statement: Statement
    instead: Body | None = None


class Absent(Struct, frozen=True, kw_only=True):
    """A call that waits, of a run that is not back since the kernel started: it can be shown and answered when that is."""

    call: int
    hand: str
    run: str
    state: str


class Rows(Struct, frozen=True, kw_only=True):
    """kernel.approvals."""

    approvals: tuple[Held, ...]
    absent: tuple[Absent, ...] = ()


class Given(Struct, frozen=True, kw_only=True):
    """kernel.answer. entry: of the answer; instead: the operator's own call, 0 for none; resource: what the call is on."""

    call: int
    verdict: str
    entry: int
    instead: int = 0
    resource: str = ""


def held(client: Client, seconds: float = 0.0) -> tuple[Held, ...]:
    """Everything that waits, in the order in which it was asked. seconds: that runs have to come back in."""
    until = time.monotonic() + seconds
    while any(one.state in COMING for one in absent(client)) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    found: list[Held] = []
    while rows := replies.read(client.call("kernel.approvals", "", _after(found)).value, Rows).approvals:
        found += rows
    return tuple(found)


def absent(client: Client) -> tuple[Absent, ...]:
    """What waits besides, of runs that are not back since the kernel started."""
    return replies.read(client.call("kernel.approvals").value, Rows).absent


def say_absent(session: Session, found: Iterable[Absent]) -> None:
    """Say what waits and cannot be shown yet."""
    for one in found:
        hand = screen.visible(one.hand)
        ways = {"frozen": "thaw", "paused": f"resume {hand}", WAITS: f"decide {hand} finish"}
        way = ways.get(one.state)
        what = f"`maniple {way}` lets it go on" if way else "the call is shown when the run is back"
        state = "waiting for your decision" if one.state == WAITS else one.state
        session.say(f"call {one.call} of {hand} waits too, but its run {one.run} is {state} now; {what}.")


def _after(found: list[Held]) -> dict[str, object]:
    return {"after": found[-1].call} if found else {}


def shown(client: Client) -> list[tuple[Whole, int]]:
    """What waits in full, of those that ask for the same the first one, with how many they are."""
    rows, found = held(client, PATIENCE_S), []
    for one in rows:
        try:
            if one.call == one.like:
                found.append((whole(client, one.call), sum(row.like == one.call for row in rows)))
        except NotDone as error:
            if error.reason != "gone":  # answered or taken back since
                raise
    return found


def whole(client: Client, call: int, body: bytes | None = None) -> Whole:
    """One held call with its arguments. Raises NotDone for one that does not wait any more."""
    more, until = {} if body is None else {"body": body}, time.monotonic() + PATIENCE_S
    while True:
        try:
            return replies.read(client.call("kernel.approvals", "", {"call": call, **more}).value, Whole)
        except NotDone as error:
            is_coming = error.reason == "not yet" and any(f"({state})" in str(error) for state in COMING)
            if not is_coming or time.monotonic() > until:
                raise
        time.sleep(_LOOK_S)


def arguments(one: Whole) -> object:
    """A call's arguments as a value; their bytes in hex when they are none, or none that can be shown exactly."""
    try:
        value = codec.decode_body(one.body)
        msgspec.json.encode(value)
    except (CodecError, TypeError, RecursionError):  # TypeError: as of names that are no texts
        return one.body.hex()
    return value


def asked(one: Whole) -> tuple[str, list[str]]:
    """The question and its choices, as far as the arguments are what they should be."""
    given = arguments(one)
    if not isinstance(given, dict):
        return "", []
    choices = given.get("choices")
    return str(given.get("question", "")), [str(choice) for choice in choices] if isinstance(choices, list) else []


def filled_in(one: Whole) -> str:
    """The answer that whoever asks has written into its question already, which a plain yes would give; "" for none."""
    given = arguments(one)
    return str(given.get("answer") or "") if isinstance(given, dict) else ""


def what_to_type(one: Held) -> str:
    """What to type for yes, for an answer, or for no."""
    yes = f"`maniple answer {one.call} TEXT`" if one.method == QUESTION else f"`maniple approve {one.call}`"
    return f"{yes} or `maniple deny {one.call}`"


def is_plain(one: Whole) -> bool:
    """Whether its bytes are the usual ones for what is shown, so that no provider can read something else in them."""
    try:
        return codec.encode_body(codec.decode_body(one.body)) == one.body
    except CodecError:
        return False


def like(client: Client, call: int) -> list[int]:
    """A held call and those that ask for the same: they are answered together."""
    rows = held(client, PATIENCE_S)
    first = next((one.like for one in rows if one.call == call), call)
    return [one.call for one in rows if one.like == first] or [call]


def covered(client: Client, first: Whole, rule: RuleSaid) -> list[int]:
    """What else waits and would not wait now, since a rule was given with the answer to `first`.

    That is what is asked about in no other Hand's name, and not since its caller itself wants that.
    """
    hands = {reason.hand for reason in first.asks}
    return [
        one.call
        for one in held(client)
        if one.method == first.method
        and capabilities.covers(rule.pattern, one.resource)
        and all(reason.hand in hands and not reason.itself for reason in one.asks)
    ]


def sealing_key(session: Session, file: str | None) -> SigningKey:
    """The key that answers are signed with."""
    return keyfile.read(file) if file else founding.sealing_key_of(session.home)


def answer(
    client: Client, key: SigningKey, calls: Sequence[int], verdict: str, *, why: str = "", rule: RuleSaid | None = None,
    body: bytes | None = None,
) -> list[Given]:  # fmt: skip
    """Answer each of these calls. body: the arguments of the call that is made instead."""
    given = []
    for number in calls:
        one = whole(client, number, body)
        statement = replace(
            one.statement, verdict=verdict, time=time.time_ns() // 1000, why=why, rule=rule, instead=one.instead
        )  # fmt: skip
        signed = Answer.signed(statement, key).to_detail()
        more = {} if body is None else {"body": body}
        told_of = replies.read(client.call("kernel.answer", "", {"answer": signed, **more}).value, Given)
        given.append(replace(told_of, resource=one.resource))
    return given


def number(text: str, what: str = "held call", listed: str = "approvals") -> int:
    """A held call as people name it. what: it is called; listed: the command that shows such."""
    if not text.isascii() or not text.isdigit():
        raise Ended(f"`{text}` is not the number of a {what}: see `maniple {listed}`", Exit.USAGE)
    return int(text)


def text_of(value: object) -> str:
    """Arguments for a person, every character of them to be seen."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
