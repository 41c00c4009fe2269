"""Reads held calls and sends the operator's answers, signed with a sealing key, to the kernel (acts)."""

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
from manifests.waiting import AWAITS_DECISION
from wire import codec
from wire.approval import Answer, RuleSaid, Statement
from wire.entries import Body
from wire.errors import CodecError
from wire.signing import SigningKey

QUESTION: Final = "ask.person"
"""The method whose calls are questions: `maniple answer` answers them with a text; other held calls are approved."""

STARTING_STATES: Final = ("working", "over_budget")
"""The states of a run whose process is being started."""

RETURN_S: Final = 10.0
"""Seconds to wait for runs that a new kernel is resuming."""

_POLL_S: Final = 0.05


class Caller(Struct, frozen=True, kw_only=True):
    """One call up the chain, and its caller."""

    principal: str
    hand: str
    method: str


class HeldCall(Struct, frozen=True, kw_only=True):
    """A row of kernel.approvals. like: the first call that asks for the same; entry: number of the call's log entry."""

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


class FullCall(HeldCall, frozen=True, kw_only=True):
    """A held call in full. body: its arguments; instead: size and digest of the replacement arguments sent, if any."""

    body: bytes
    statement: Statement
    instead: Body | None = None


class AbsentCall(Struct, frozen=True, kw_only=True):
    """A held call whose run has not resumed since the kernel started; until then it can be neither shown nor answered."""

    call: int
    hand: str
    run: str
    state: str


class Approvals(Struct, frozen=True, kw_only=True):
    """The reply of kernel.approvals."""

    approvals: tuple[HeldCall, ...]
    absent: tuple[AbsentCall, ...] = ()


class AnswerReply(Struct, frozen=True, kw_only=True):
    """The reply of kernel.answer, with the call's resource added. entry: number of the answer's log entry.

    instead: number of the call that the operator made in its place; 0 for none.
    """

    call: int
    verdict: str
    entry: int
    instead: int = 0
    resource: str = ""


def fetch_held(client: Client, seconds: float = 0.0) -> tuple[HeldCall, ...]:
    """Fetch all held calls, oldest first. seconds: how long to wait for runs that are resuming."""
    until = time.monotonic() + seconds
    while any(one.state in STARTING_STATES for one in fetch_absent(client)) and time.monotonic() < until:
        time.sleep(_POLL_S)
    found: list[HeldCall] = []
    while rows := replies.read(client.call("kernel.approvals", "", _after(found)).value, Approvals).approvals:
        found += rows
    return tuple(found)


def fetch_absent(client: Client) -> tuple[AbsentCall, ...]:
    """Fetch the held calls of runs that have not resumed since the kernel started."""
    return replies.read(client.call("kernel.approvals").value, Approvals).absent


def say_absent(session: Session, found: Iterable[AbsentCall]) -> None:
    """Print a line on stderr for each held call that cannot be shown yet, with the command that resumes its run."""
    for one in found:
        hand = screen.visible(one.hand)
        ways = {"frozen": "thaw", "paused": f"resume {hand}", AWAITS_DECISION: f"decide {hand} finish"}
        way = ways.get(one.state)
        what = f"`maniple {way}` lets it go on" if way else "the call is shown when the run is back"
        state = "waiting for your decision" if one.state == AWAITS_DECISION else one.state
        session.say(f"call {one.call} of {hand} waits too, but its run {one.run} is {state} now; {what}.")


def _after(found: list[HeldCall]) -> dict[str, object]:
    return {"after": found[-1].call} if found else {}


def fetch_distinct(client: Client) -> list[tuple[FullCall, int]]:
    """Fetch held calls in full: the first of each group that asks for the same, with the size of the group."""
    rows, found = fetch_held(client, RETURN_S), []
    for one in rows:
        try:
            if one.call == one.like:
                found.append((fetch_full(client, one.call), sum(row.like == one.call for row in rows)))
        except NotDone as error:
            if error.reason != "gone":  # answered or cancelled meanwhile
                raise
    return found


def fetch_full(client: Client, call: int, body: bytes | None = None) -> FullCall:
    """Fetch a held call with its arguments. body: replacement arguments, whose digest the statement gets. Raises NotDone."""
    more, until = {} if body is None else {"body": body}, time.monotonic() + RETURN_S
    while True:
        try:
            return replies.read(client.call("kernel.approvals", "", {"call": call, **more}).value, FullCall)
        except NotDone as error:
            if error.reason != "not yet" or time.monotonic() > until:
                raise
            states = {one.call: one.state for one in fetch_absent(client)}
            if states.get(call, "working") not in STARTING_STATES:  # a call that is not listed is back meanwhile
                raise
        time.sleep(_POLL_S)


def arguments(one: FullCall) -> object:
    """A call's arguments as a value; as bytes in hex if they are malformed, or JSON cannot show them exactly."""
    try:
        value = codec.decode_body(one.body)
        msgspec.json.encode(value)
    except (CodecError, TypeError, RecursionError):  # TypeError: for instance keys that are not texts
        return one.body.hex()
    return value


def question_of(one: FullCall) -> tuple[str, list[str]]:
    """A question's text and its choices; empty where the arguments are malformed."""
    given = arguments(one)
    if not isinstance(given, dict):
        return "", []
    choices = given.get("choices")
    return str(given.get("question", "")), [str(choice) for choice in choices] if isinstance(choices, list) else []


def prefilled_answer(one: FullCall) -> str:
    """The answer that the asking Hand has put into its question, which a plain approval would give; "" for none."""
    given = arguments(one)
    return str(given.get("answer") or "") if isinstance(given, dict) else ""


def answer_hint(one: HeldCall) -> str:
    """The commands that answer, approve or deny this call."""
    yes = f"`maniple answer {one.call} TEXT`" if one.method == QUESTION else f"`maniple approve {one.call}`"
    return f"{yes} or `maniple deny {one.call}`"


def is_canonical(one: FullCall) -> bool:
    """Whether the arguments' bytes are the canonical encoding of the value shown: no provider can read them differently."""
    try:
        return codec.encode_body(codec.decode_body(one.body)) == one.body
    except CodecError:
        return False


def calls_like(client: Client, call: int) -> list[int]:
    """The numbers of all held calls that ask for the same as this one, itself included: they are answered together."""
    rows = fetch_held(client, RETURN_S)
    first = next((one.like for one in rows if one.call == call), call)
    return [one.call for one in rows if one.like == first] or [call]


def calls_covered_by(client: Client, first: FullCall, rule: RuleSaid) -> list[int]:
    """The other held calls that a rule given with the answer to `first` approves.

    They have the same method and a resource that the rule covers. Each reason to ask concerns a Hand that asked for
    `first`, and none is the caller's own wish to be asked.
    """
    hands = {reason.hand for reason in first.asks}
    return [
        one.call
        for one in fetch_held(client)
        if one.method == first.method
        and capabilities.covers(rule.pattern, one.resource)
        and all(reason.hand in hands and not reason.itself for reason in one.asks)
    ]


def sealing_key(session: Session, file: str | None) -> SigningKey:
    """The key that signs answers: of this file, else the home's own."""
    return keyfile.read(file) if file else founding.read_sealing_key(session.home)


def answer(
    client: Client, key: SigningKey, calls: Sequence[int], verdict: str, *, why: str = "", rule: RuleSaid | None = None,
    body: bytes | None = None,
) -> list[AnswerReply]:  # fmt: skip
    """Sign and send an answer to each of these calls. body: arguments of the call to make instead."""
    given = []
    for number in calls:
        one = fetch_full(client, number, body)
        statement = replace(
            one.statement, verdict=verdict, time=time.time_ns() // 1000, why=why, rule=rule, instead=one.instead
        )  # fmt: skip
        signed = Answer.signed(statement, key).to_detail()
        more = {} if body is None else {"body": body}
        reply = replies.read(client.call("kernel.answer", "", {"answer": signed, **more}).value, AnswerReply)
        given.append(replace(reply, resource=one.resource))
    return given


def parse_number(text: str, what: str = "held call", listed: str = "approvals") -> int:
    """Parse the number of a held call. what, listed: what the error calls it, and the command that lists them."""
    if not text.isascii() or not text.isdigit():
        raise Ended(f"`{text}` is not the number of a {what}: see `maniple {listed}`", Exit.USAGE)
    return int(text)


def arguments_text(value: object) -> str:
    """Arguments as indented JSON, for people."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
