"""Open calls (pure): their fields, headers and log entries. Their life cycle is in wire/calls.py."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Protocol, TypeVar

from msgspec.structs import asdict, replace

from manifests.approvals import Reason, reason_rows
from manifests.budgets import HOME, Reservation, payers_detail
from manifests.capabilities import namespace
from manifests.grants import GrantSet
from manifests.installed import Installed
from manifests.ledger import cost_of
from manifests.policy import SLEEP, Link, digest_query, redact
from manifests.schema import Manifest, Provided
from manifests.unfinished import WORK, Open
from wire import codec, headers, limits
from wire.amounts import Cost
from wire.calls import CallLife
from wire.entries import Said, time_text
from wire.errors import CodecError
from wire.headers import Chunk
from wire.ids import KERNEL, OPERATOR
from wire.labels import join
from wire.results import Outcome

RESTS_FROM: Final = 30_000_000
"""The least remaining microseconds of a sleep for which its run's process need not be kept."""

ALARMS: Final = 3
"""The most kernel.sleep calls of a run's event loop: for its timers, the one before, and KernelHandle.time_passes."""

BESIDE: Final = 8 * 1024
"""Bytes of a body that are reserved for the fields of an outcome other than its value."""


class Timer(Protocol):
    """A timer of the kernel's loop."""

    def cancel(self) -> None:
        """Cancel it."""


class Seeing(Protocol):
    """A run or call, with the labels of all data that it has seen."""

    labels: frozenset[str]

    def mark(self, labels: Collection[str], /) -> None:
        """Add the labels of data that it has seen."""


S = TypeVar("S", bound=Seeing)


class OpenCall(CallLife):
    """One open call. number: the kernel's (even). Times are in microseconds since 1970, unless said otherwise.

    Origin: caller, a run's id or `operator`; run, that id or ""; secret, the key of its digests; by, the caller as policy
    sees it; route and caller_number, the destination of the end (no route for the work of a task run); parent, the call it
    is made for; children, the open calls made for it. is_detached: it outlives its parent, whose reservation does not pay
    for it. depth: the number of scheduled runs that led to it, each started by an event of the one before.

    Content: upload, whether it has one; early, upload chunks that its provider does not take yet; labels, those of its reply
    so far, which calls made for it inherit. landlord: the run that lends its scratch folder for the answer, if any.

    Time: began; deadline, in monotonic seconds; left, seconds to it while its clock is stopped; alarm_at, when a sleep ends.
    seq: of its first entry. reservation: see budgets.py. tokens, micro_dollars: the cost of calls made for it. shares: the
    provider's Shares.sum when it came, in seconds. crashes: of providers with it; was_taken_back: one had it.

    Approval: asks, the reasons to ask the operator; until, when an unanswered call expires; answer, as in Open; wish, the
    caller's own reason, or "". heir: the held call that the operator replaced with this one, and that gets its end.
    """

    __slots__ = (
        "alarm", "alarm_at", "answer", "asks", "began", "body", "by", "caller", "caller_number", "children", "crashes",
        "deadline", "depth", "early", "heir", "is_detached", "labels", "landlord", "left", "micro_dollars", "most",
        "parent", "provided", "provider", "reservation", "resource", "route", "run", "secret", "seq", "shares", "timer",
        "tokens", "until", "upload", "was_taken_back", "wish",
    )  # fmt: skip

    def __init__(
        self, number: int, caller: str, by: Link, route: bytes, caller_number: int, *, provided: Provided, resource: str,
        body: bytes, parent: "OpenCall | None", deadline: float, labels: frozenset[str], most: Cost | None, upload: bool,
    ) -> None:  # fmt: skip
        super().__init__(number, upload=upload)
        self.caller, self.by, self.route, self.caller_number = caller, by, route, caller_number
        self.provided, self.resource, self.body, self.most = provided, resource, body, most
        self.parent, self.deadline, self.labels, self.upload = parent, deadline, labels, upload
        self.run, self.secret = "" if caller == OPERATOR else caller, b""
        self.early: list[tuple[Chunk, bytes]] = []
        self.children: dict[int, OpenCall] = {}
        self.timer: Timer | None = None
        self.alarm: Timer | None = None
        self.provider = self.answer = self.wish = ""
        self.crashes = self.began = self.alarm_at = self.until = self.tokens = self.micro_dollars = 0
        self.depth: int = parent.depth if parent is not None else 0
        self.asks: tuple[Reason, ...] = ()
        self.heir: OpenCall | None = None
        self.seq = -1
        self.was_taken_back = self.is_detached = False
        self.reservation: Reservation | None = None
        self.landlord: Seeing | None = None
        self.left = self.shares = 0.0

    @property
    def method(self) -> str:
        """The method's name."""
        return self.provided.method

    @property
    def bound(self) -> str:
        """The resource as its provider gets it: a namespace contains the caller's id.

        The caller is the Hand that made this very call, not one further up its chain. For a call with which the operator
        replaced a held one, it is the Hand that made the held one.
        """
        if self.provided.resource != "namespace":
            return self.resource
        return namespace.bound(self.resource, (self.heir or self).by.hand)

    @property
    def has_effect(self) -> bool:
        """Whether its method may have an effect: if so, entries are on disk before the call or its end is delivered."""
        return self.provided.effect != "read"

    @property
    def is_recorded_first(self) -> bool:
        """Whether its entry must be on disk before it is delivered: no effect, and no spending, without a record."""
        return self.has_effect or self.reservation is not None

    @property
    def may_be_made_again(self) -> bool:
        """Whether it can be delivered again after its provider died, with nothing done or paid for twice."""
        is_harmless = not self.has_effect or self.provided.idempotent
        return self.state == "delivered" and not self.upload and is_harmless and self.reservation is None

    @property
    def payers(self) -> tuple[str, ...]:
        """The ids of those who pay for it: every Hand in its chain, and the home."""
        return payers_in_chain(self.by, self.parent)

    @property
    def covered(self) -> Reservation | None:
        """The reservation of the nearest call above it that has one."""
        return None if self.is_detached else paid_from(self.parent)

    @property
    def was_begun(self) -> bool:
        """Whether a provider may have begun to work on it."""
        return self.state not in ("open", "held") or self.was_taken_back

    def time_left(self, now: float) -> float:
        """Seconds to its deadline; now: monotonic seconds."""
        return self.left if self.timer is None and self.left else self.deadline - now

    def hold(self) -> None:
        """Hold the call until the operator answers."""
        self.step("hold")
        self.answer = "held"

    def release(self, instead: "OpenCall | None") -> None:
        """Release a held call: the operator approved it, and calls made for it, or makes `instead` in its place."""
        self.step("approve")
        if instead is None:
            self.answer, self.by = "approved", replace(self.by, is_approved=True)
        else:
            self.answer, self.children[instead.number] = "edited", instead

    @property
    def was_streamed(self) -> bool:
        """Whether part of the reply has reached the caller before the end."""
        return self.down < limits.WINDOW

    def take_back(self) -> None:
        """Make the call wait to be delivered again, since its provider died."""
        self.step("redeliver")
        self.provider, self.was_taken_back = "", True

    def mark(self, *labels: Collection[str]) -> None:
        """Add labels. None is ever removed."""
        if not all(map(self.labels.issuperset, labels)) and (joined := join(self.labels, *labels)) != self.labels:
            self.labels = joined
            self.share()

    def share(self) -> None:
        """Pass its labels to all runs and calls that work in the same scratch folder."""
        above = (self.landlord, self.parent) if self.landlord is not None else ()
        for tenant in (*above, *[made for made in self.children.values() if made.landlord is not None]):
            if tenant is not None:
                tenant.mark(self.labels)

    def shown_labels(self) -> tuple[str, ...]:
        """Its labels as headers and the log store them: sorted."""
        return tuple(sorted(self.labels)) if self.labels else ()

    def header_for_provider(self, now: float, time: int, may_cost: Cost | None = None) -> headers.Call:
        """Return the header for its provider. now: monotonic seconds; time: the kernel's clock. may_cost: see left_for()."""
        left = min(limits.DEADLINE_MAX, max(1, int((self.deadline - now) * 1000)))
        return headers.Call(
            number=self.number, method=self.method, resource=self.bound, deadline=left, most=self.most,
            left=may_cost, upload=self.upload, labels=self.shown_labels(), time=time,
        )  # fmt: skip

    def chunk_header(self, chunk: Chunk, number: int, time: int) -> Chunk:
        """Return the header of a chunk for its receiver. number: the receiver's number of the call."""
        return replace(chunk, number=number, labels=self.shown_labels(), time=time)

    def call_entry(self) -> Said:
        """Return the fields that only its `call` entry has."""
        detail: dict[str, object] = {"effect": self.provided.effect}
        if self.most is not None:
            detail["most"] = asdict(self.most)
        if self.reservation is not None:
            detail |= payers_detail(
                self.reservation.payers, self.reservation.within.number if self.reservation.within else 0
            )
        if self.bound != self.resource:
            detail["bound"] = self.bound
        if self.by.is_approved:
            detail["is_approved"] = True
        if self.heir is not None:
            detail["instead_of"] = self.heir.number
        if self.asks:
            detail |= {"asks": reason_rows(self.asks), "until": self.until}
        return {"principal": self.caller, "verdict": "held" if self.asks else "allowed", "detail": detail}

    def end_entry(self, header: headers.End) -> Said:
        """Return the fields that only its `end` entry has."""
        cost = None if isinstance(header, headers.Refused) else header.cost
        said: Said = {"principal": self.provider or KERNEL, "verdict": type(header).__name__.lower(), "cost": cost}
        if why := headers.why(header):
            said["why"] = redact(why)
        detail: dict[str, object] = {}
        if not isinstance(header, headers.Refused) and header.used is not None:
            detail["used"] = header.used.as_detail()
        if cost is not None:
            detail |= payers_detail(self.payers, self.covered.number if self.covered else 0)
        if detail:
            said["detail"] = detail
        return said

    def settle_cost(self, header: headers.End, *, was_begun: bool, is_word: bool) -> tuple[headers.End, Cost | None]:
        """Return its end with the cost to charge, and that cost. is_word: the provider itself gave this end.

        Otherwise the cost is unknown, and the rest of its `most` is charged, unless the call never reached its provider, or
        is a run's work, whose only costs are those of its own calls.
        """
        is_known = is_word or not was_begun or self.method == WORK
        if isinstance(header, headers.Refused):
            return header, None
        if self.reservation is None or is_known:
            return header, header.cost
        cost = cost_of(self.reservation.unspent)
        return replace(header, cost=cost), cost

    def end_for_caller(self, header: headers.End, now: int) -> headers.End:
        """Return its end, addressed to its caller. now: microseconds since 1970."""
        marks = {} if isinstance(header, headers.Refused) else {"labels": self.shown_labels()}
        return replace(header, number=self.caller_number, time=now, **marks)

    def as_open(self) -> Open:
        """Return the call as a snapshot stores it."""
        resource, labels = digest_query(self.resource, self.secret), self.shown_labels()
        answer = self.answer or ("approved" if self.by.is_approved else "")
        kept = Open(
            method=self.method, resource=resource, effect=self.provided.effect, run=self.run, labels=labels, seq=self.seq,
            time=time_text(self.began), answer=answer, until=self.until, parent=self.parent.number if self.parent else 0,
        )  # fmt: skip
        if (reservation := self.reservation) is None:
            return kept
        within = reservation.within.number if reservation.within else 0
        return replace(kept, most=reservation.most, payers=reservation.payers, within=within, inner=reservation.inner)

    def as_open_again(self) -> Open:
        """Return the same for a call that its caller's next process will make again."""
        return replace(self.as_open(), is_begun=self.was_begun or self.answer == "edited")

    def fields(self, alone: Callable[[], Said], labels: frozenset[str]) -> Said:
        """Return all fields of one of its entries. alone: returns those that only this entry has. labels: of the moment when
        it was recorded, since entries are written some calls later.
        """
        fields = alone()
        fields["call"], fields["method"] = self.number, self.provided.method
        fields["resource"], fields["run"] = digest_query(self.resource, self.secret), self.run
        if labels:
            fields["labels"] = tuple(sorted(labels))
        if self.parent is not None:
            fields["parent"] = self.parent.number
        return fields


def lend_scratch(work: OpenCall | None, to: Manifest, runs: Mapping[str, S]) -> S | None:
    """Return the run that lends its scratch folder to the run that answers this call; None if that one uses its own.

    While the call is open, each of the two has the labels of all data that either has seen or sees, since it may read that
    data in the folder; and the labels that the method declares, since writes to the folder are not observed.
    """
    if work is None or to.confinement.scratch != "caller" or work.method not in to.provides:
        return None
    landlord = work.landlord = runs.get(work.caller)
    if landlord is not None:
        above = work.parent.labels if work.parent is not None else ()
        work.labels = join(work.labels, above, landlord.labels, work.provided.labels)
        work.share()
    return landlord


def open_call(
    header: headers.Call, number: int, caller: str, by: Link, route: bytes, *, provided: Provided, resource: str,
    body: bytes, parent: OpenCall | None, labels: frozenset[str], owner: Installed | None, now: float,
) -> OpenCall:  # fmt: skip
    """Make an OpenCall of a caller's header. labels: in addition to the header's; owner: its provider, None for the kernel.

    The deadline is the header's, but never later than its provider's `wall` or its parent's. now: monotonic seconds.
    """
    deadline = now + (header.deadline or limits.DEADLINE_DEFAULT) / 1000
    if owner is not None:
        deadline = min(deadline, now + owner.package.manifest.limits.wall_ms / 1000)
    if parent is not None:
        deadline = min(deadline, now + parent.time_left(now))
    call = OpenCall(
        number, caller, by, route, header.number, provided=provided, resource=resource, body=body, parent=parent,
        deadline=deadline, labels=join(header.labels, labels), most=header.most or provided.most, upload=header.upload,
    )  # fmt: skip
    call.wish = header.ask
    return call


def outcome_reply(run: str, outcome: Outcome) -> dict[str, object]:
    """Return the reply to a call that waits for a run. It contains the Hand's bytes if they are one well-formed value."""
    end, value = outcome.header, None
    verdict = type(end).__name__.lower()
    code = getattr(end, "code", "" if verdict == "done" else verdict)
    text = getattr(end, "text", getattr(end, "why", ""))
    try:
        if outcome.body is None:
            text = f"{text}; what it returned is too large to be kept for later".removeprefix("; ")
        elif len(outcome.body) > limits.BODY_MAX - BESIDE:
            text = f"{text}; what it returned is too large to be handed on".removeprefix("; ")
        else:
            value = codec.checked(outcome.body)
    except CodecError as error:
        text = f"{text}; what it returned cannot be read: {error}".removeprefix("; ")
    return {"run": run, "outcome": verdict, "value": value, "code": code, "text": text}


def regrant(calls: Iterable[OpenCall], hand: str, grants: GrantSet, of_runs: Mapping[str, GrantSet]) -> None:
    """Apply a Hand's changed grants to every chain that it is in, from the next call on. of_runs: the grants of runs of
    older versions of it, by run.
    """
    for link in {link for call in calls for link in chain(call)}:
        if link.by.hand == hand:
            link.by = replace(link.by, grants=of_runs.get(link.caller, grants))


def chain(call: OpenCall | None) -> list[OpenCall]:
    """Return a call and the calls it was made for, innermost first."""
    links = []
    while call is not None:
        links.append(call)
        call = call.parent
    return links


def payers_in_chain(by: Link, parent: OpenCall | None) -> tuple[str, ...]:
    """Return the ids of those who pay for a call by this principal with this parent: each Hand in its chain, and the home."""
    hands = dict.fromkeys([by.hand, *(call.by.hand for call in chain(parent))])
    hands.pop("", None)
    return (*hands, HOME)


def paid_from(parent: OpenCall | None) -> Reservation | None:
    """Return the reservation that pays for calls of this parent: the nearest one up its chain, up to a detached call."""
    for call in chain(parent):
        if call.reservation is not None or call.is_detached:
            return call.reservation
    return None


def count_without_alarms(made: Collection[OpenCall], most: int, method: str) -> tuple[int, int]:
    """Return how many calls a run has open, and the most it may have, for one more call: without its event loop's sleeps."""
    if method == SLEEP:
        return len(made), most + ALARMS
    return len(made) - min(ALARMS, sum(call.method == SLEEP for call in made)), most


def is_long_wait(call: OpenCall, now: int) -> bool:
    """Whether a call may last so long that its run's process need not be kept meanwhile. now: microseconds since 1970."""
    if call.state == "held" or call.method == "kernel.wait":
        return True
    return call.method == SLEEP and call.alarm_at - now > RESTS_FROM


def may_be_made_again(provided: Provided, most: object = None) -> bool:
    """Whether a call whose outcome was lost may be repeated without a second effect or cost. most: its `most`, if any."""
    return most is None and (provided.effect == "read" or provided.idempotent)
