"""A call that has no end yet: what the kernel decides from, in one record, and what is said of it to others and to the
log (pure; its life is wire/calls.py).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Protocol, TypeVar

from msgspec.structs import asdict, replace

from manifests.approvals import Reason, told_of
from manifests.budgets import HOME, Bond, paid_by
from manifests.capabilities import namespace
from manifests.grants import GrantSet
from manifests.installed import Installed
from manifests.ledger import cost_of
from manifests.policy import SLEEP, Link, logged, shown
from manifests.schema import Manifest, Provided
from manifests.state import WORK
from manifests.unfinished import Open
from wire import codec, headers, limits
from wire.calls import CallLife
from wire.entries import Cost, Said, time_text
from wire.errors import CodecError
from wire.headers import Chunk
from wire.ids import KERNEL
from wire.labels import join
from wire.results import Outcome

RESTS_FROM: Final = 30_000_000
"""Microseconds that a sleep must last for its run to be one that only waits."""

ALARMS: Final = 3
"""Calls of it that a run has open besides its Hand's: the one that its loop's timers wait for, the one before, its time's."""

BESIDE: Final = 8 * 1024
"""Bytes of a body that are left for what is told of a run beside what it returned."""


class Timer(Protocol):
    """Something that was to happen at a moment."""

    def cancel(self) -> None:
        """Never to happen."""


class Seeing(Protocol):
    """A run, which has seen what it is marked with."""

    labels: frozenset[str]

    def mark(self, labels: Collection[str], /) -> None:
        """It has seen something with these labels."""


S = TypeVar("S", bound=Seeing)


class OpenCall(CallLife):
    """One open call; number is the kernel's (even).

    caller: the run's id or `operator`; by: what policy sees of it, kept since a caller may be gone before its calls are.
    route, caller_number: where the end goes; no route for the work of a task run. labels: what its reply is marked with so
    far, and what calls made for it are marked with. deadline: monotonic seconds. children: open calls made for it.
    crashes: how often a provider died with it; was_taken_back: it was at one before. shares: seconds of processor
    time that its provider had charged to each call when this one came. left: seconds to the deadline while it stands still.
    upload: it has one; early: its chunks that came too early. began: microseconds since 1970, when it was asked for.
    seq: of its first entry. alarm_at: microseconds since 1970, when it is answered by itself. bond: what is reserved for it.
    is_detached: it outlives what it was made for, and is paid for by itself. asks: for whom the operator is asked first,
    until then (microseconds since 1970); answer: as in Open; wish: why its caller itself wants him asked, "" if it does not.
    depth: how many scheduled runs lie behind it, each begun by an event of the one before; so it is for all made for it.
    heir: the held call that the operator makes this one instead of, and that gets its end. landlord: of a call that is
    answered in its caller's scratch folder, that run.
    """

    __slots__ = (
        "alarm", "alarm_at", "answer", "asks", "began", "body", "bond", "by", "caller", "caller_number", "children",
        "crashes", "deadline", "depth", "early", "heir", "is_detached", "labels", "landlord", "left", "most", "parent",
        "provided", "provider", "resource", "route", "seq", "shares", "timer", "until", "upload", "was_taken_back", "wish",
    )  # fmt: skip

    def __init__(
        self, number: int, caller: str, by: Link, route: bytes, caller_number: int, *, provided: Provided, resource: str,
        body: bytes, parent: "OpenCall | None", deadline: float, labels: frozenset[str], most: Cost | None, upload: bool,
    ) -> None:  # fmt: skip
        super().__init__(number, upload=upload)
        self.caller, self.by, self.route, self.caller_number = caller, by, route, caller_number
        self.provided, self.resource, self.body, self.most = provided, resource, body, most
        self.parent, self.deadline, self.labels, self.upload = parent, deadline, labels, upload
        self.early: list[tuple[Chunk, bytes]] = []
        self.children: dict[int, OpenCall] = {}
        self.timer: Timer | None = None
        self.alarm: Timer | None = None
        self.provider = self.answer = self.wish = ""
        self.crashes = self.began = self.alarm_at = self.until = 0
        self.depth: int = parent.depth if parent is not None else 0
        self.asks: tuple[Reason, ...] = ()
        self.heir: OpenCall | None = None
        self.seq = -1
        self.was_taken_back = self.is_detached = False
        self.bond: Bond | None = None
        self.landlord: Seeing | None = None
        self.left = self.shares = 0.0

    @property
    def method(self) -> str:
        """The method that was called."""
        return self.provided.method

    @property
    def bound(self) -> str:
        """The resource as its provider gets it: a namespace with its caller's id, so that no provider works that out itself.

        Whose `own` it is: the Hand's that made this call, not of those that it is made for. The operator's call instead of a
        held one is about the memory of who made that.
        """
        if self.provided.resource != "namespace":
            return self.resource
        return namespace.bound(self.resource, (self.heir or self).by.hand)

    @property
    def has_effect(self) -> bool:
        """Whether it reaches its provider only after its entry is on disk, and its end its caller likewise."""
        return self.provided.effect != "read"

    @property
    def is_recorded_first(self) -> bool:
        """Whether its provider gets it only when its entry is on disk: no effect, and no spending, without a record."""
        return self.has_effect or self.bond is not None

    @property
    def may_be_made_again(self) -> bool:
        """Whether a provider's death leaves it possible to ask the next one, without anybody noticing or paying twice."""
        is_harmless = not self.has_effect or self.provided.idempotent
        return self.state == "delivered" and not self.upload and is_harmless and self.bond is None

    @property
    def payers(self) -> tuple[str, ...]:
        """Who pays for it: every Hand in its chain, and the home."""
        return paying(self.by, self.parent)

    @property
    def covered(self) -> Bond | None:
        """What was reserved for the nearest of those that it is made for."""
        return None if self.is_detached else covering(self.parent)

    @property
    def was_begun(self) -> bool:
        """Whether something may have been done for it, before its end."""
        return self.state not in ("open", "held") or self.was_taken_back

    def time_left(self, now: float) -> float:
        """Seconds to its deadline; now: monotonic seconds."""
        return self.left if self.timer is None and self.left else self.deadline - now

    def hold(self) -> None:
        """It waits for the operator."""
        self.step("hold")
        self.answer = "held"

    def go_on(self, instead: "OpenCall | None") -> None:
        """The operator said yes, and what is made for it needs no yes in its caller's name; or makes another one instead."""
        self.step("approve")
        if instead is None:
            self.answer, self.by = "approved", replace(self.by, is_approved=True)
        else:
            self.answer, self.children[instead.number] = "edited", instead

    @property
    def was_streamed(self) -> bool:
        """Whether some of its reply came before its end."""
        return self.down < limits.WINDOW

    def take_back(self) -> None:
        """Its provider is gone: it waits for the next one."""
        self.step("redeliver")
        self.provider, self.was_taken_back = "", True

    def mark(self, *labels: Iterable[str]) -> None:
        """Add labels; none is ever taken away."""
        if any(labels) and (joined := join(self.labels, *labels)) != self.labels:
            self.labels = joined
            self.share()

    def share(self) -> None:
        """Where a scratch folder is lent, all who work in it have each other's labels at once."""
        above = (self.landlord, self.parent) if self.landlord is not None else ()
        for one in (*above, *[made for made in self.children.values() if made.landlord is not None]):
            if one is not None:
                one.mark(self.labels)

    def shown_labels(self) -> tuple[str, ...]:
        """Its labels as a header and the log have them."""
        return tuple(sorted(self.labels)) if self.labels else ()

    def delivered(self, now: float, time: int) -> headers.Call:
        """What its provider gets. now: monotonic seconds; time: the kernel's clock."""
        left = min(limits.DEADLINE_MAX, max(1, int((self.deadline - now) * 1000)))
        return headers.Call(
            number=self.number, method=self.method, resource=self.bound, deadline=left, most=self.most,
            upload=self.upload, labels=self.shown_labels(), time=time,
        )  # fmt: skip

    def passed(self, chunk: Chunk, number: int, time: int) -> Chunk:
        """A chunk of it as it goes on, under the number that its receiver knows the call by."""
        return replace(chunk, number=number, labels=self.shown_labels(), time=time)

    def begun(self) -> Said:
        """What its first entry says of it alone."""
        detail: dict[str, object] = {"effect": self.provided.effect}
        if self.most is not None:
            detail["most"] = asdict(self.most)
        if self.bond is not None:
            detail |= paid_by(self.bond.payers, self.bond.within.number if self.bond.within else 0)
        if self.bound != self.resource:
            detail["bound"] = self.bound
        if self.by.is_approved:
            detail["is_approved"] = True
        if self.heir is not None:
            detail["instead_of"] = self.heir.number
        if self.asks:
            detail |= {"asks": told_of(self.asks), "until": self.until}
        return {"principal": self.caller, "verdict": "held" if self.asks else "allowed", "detail": detail}

    def over(self, header: headers.End) -> Said:
        """What its last entry says of it alone."""
        cost = None if isinstance(header, headers.Refused) else header.cost
        said: Said = {"principal": self.provider or KERNEL, "verdict": type(header).__name__.lower(), "cost": cost}
        if why := headers.why(header):
            said["why"] = shown(why)
        detail: dict[str, object] = {}
        if not isinstance(header, headers.Refused) and header.used is not None:
            detail["used"] = header.used.as_detail()
        if cost is not None:
            detail |= paid_by(self.payers, self.covered.number if self.covered else 0)
        if detail:
            said["detail"] = detail
        return said

    def priced(self, header: headers.End, *, was_begun: bool, is_word: bool) -> tuple[headers.End, Cost | None]:
        """Its end with what it has cost, and that. is_word: its provider's own.

        Otherwise nobody can tell, and it is all that is left of its `most`, unless it never reached its provider, or is a
        run's work, which spends by its calls.
        """
        is_known = is_word or not was_begun or self.method == WORK
        if isinstance(header, headers.Refused):
            return header, None
        if self.bond is None or is_known:
            return header, header.cost
        cost = cost_of(self.bond.unspent)
        return replace(header, cost=cost), cost

    def heard(self, header: headers.End, now: int) -> headers.End:
        """Its end as its caller hears it. now: microseconds since 1970."""
        marks = {} if isinstance(header, headers.Refused) else {"labels": self.shown_labels()}
        return replace(header, number=self.caller_number, time=now, **marks)

    def kept(self, key: bytes, run: str) -> Open:
        """What a snapshot keeps of it, for its end if the kernel has none for it. key, run: as for about()."""
        parent = self.parent.number if self.parent else 0
        resource, labels = logged(self.resource, key), self.shown_labels()
        answer = self.answer or ("approved" if self.by.is_approved else "")
        kept = Open(
            method=self.method, resource=resource, effect=self.provided.effect, run=run, parent=parent, labels=labels,
            seq=self.seq, time=time_text(self.began), answer=answer, until=self.until,
        )  # fmt: skip
        if (bond := self.bond) is None:
            return kept
        within = bond.within.number if bond.within else 0
        return replace(kept, most=bond.most, payers=bond.payers, within=within, inner=bond.inner)

    def put_back(self, key: bytes, run: str) -> Open:
        """The same of one that is made when its run asks for it again. key, run: as for about()."""
        return replace(self.kept(key, run), is_begun=self.was_begun or self.answer == "edited")

    def about(self, alone: Callable[[], Said], key: bytes, run: str, labels: frozenset[str]) -> Said:
        """An entry of it: what that alone says, completed with what both say. key: of its caller's digests; run: its caller,
        if that is one; labels: those it had then, since an entry is written some calls later.
        """
        said = alone()
        said["call"], said["method"] = self.number, self.provided.method
        said["resource"], said["run"] = logged(self.resource, key), run
        if labels:
            said["labels"] = tuple(sorted(labels))
        if self.parent is not None:
            said["parent"] = self.parent.number
        return said


def lodging(work: OpenCall | None, to: Manifest, runs: Mapping[str, S]) -> S | None:
    """The run in whose scratch folder that one works which answers this call; None for its own.

    What either of them sees, or has seen, marks what the other does: it may have come by the folder, while the call is open.
    So do the labels that the method declares, since nothing tells when what they mark is there.
    """
    if work is None or to.confinement.scratch != "caller" or work.method not in to.provides:
        return None
    landlord = work.landlord = runs.get(work.caller)
    if landlord is not None:
        above = work.parent.labels if work.parent is not None else ()
        work.labels = join(work.labels, above, landlord.labels, work.provided.labels)
        work.share()
    return landlord


def opened(
    header: headers.Call, number: int, caller: str, by: Link, route: bytes, *, provided: Provided, resource: str,
    body: bytes, parent: OpenCall | None, labels: frozenset[str], owner: Installed | None, now: float,
) -> OpenCall:  # fmt: skip
    """The call that a caller's header asks for. labels: those it carries besides its own; owner: None for the kernel.

    It lasts no longer than was asked, than its provider's `wall` and than the call it is made for. now: monotonic seconds.
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
    """What waits for a run hears. A Hand's bytes go into the kernel's own answer only as far as they are one whole value."""
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
    """A Hand's grants have changed: they hold in every chain it is in, from the next call on. of_runs: those of its runs,
    which may be of an older version.
    """
    for link in {link for call in calls for link in chain(call)}:
        if link.by.hand == hand:
            link.by = replace(link.by, grants=of_runs.get(link.caller, grants))


def chain(call: OpenCall | None) -> list[OpenCall]:
    """A call and those it was made for, innermost first."""
    links = []
    while call is not None:
        links.append(call)
        call = call.parent
    return links


def paying(by: Link, parent: OpenCall | None) -> tuple[str, ...]:
    """Who pays for a call by one principal, made for another call: each Hand in its chain once, and the home."""
    hands = dict.fromkeys([by.hand, *(call.by.hand for call in chain(parent))])
    hands.pop("", None)
    return (*hands, HOME)


def covering(parent: OpenCall | None) -> Bond | None:
    """What is reserved for the nearest of a chain that has something reserved, as far as one ends with the other."""
    for call in chain(parent):
        if call.bond is not None or call.is_detached:
            return call.bond
    return None


def beside_alarms(made: Collection[OpenCall], most: int, method: str) -> tuple[int, int]:
    """How many calls of a run's own are open, and how many may be, for one more of this method: its loop's are its due."""
    if method == SLEEP:
        return len(made), most + ALARMS
    return len(made) - min(ALARMS, sum(call.method == SLEEP for call in made)), most


def lasts(call: OpenCall, now: int) -> bool:
    """Whether a call may well take longer than a process is kept for it. now: microseconds since 1970."""
    if call.state == "held" or call.method == "kernel.wait":
        return True
    return call.method == SLEEP and call.alarm_at - now > RESTS_FROM


def may_be_made_again(provided: Provided, most: object = None) -> bool:
    """Whether a call whose outcome was lost may be made again without anybody noticing. most: what it may cost, if it may."""
    return most is None and (provided.effect == "read" or provided.idempotent)
