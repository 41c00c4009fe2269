"""What the kernel keeps of a peer on the bus and of a run (values only; router, exchange and supervisor change them)."""

import os
import signal
import time
from collections import deque
from collections.abc import Collection
from socket import socket
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from manifests.calls import OpenCall
from manifests.grants import GrantSet
from manifests.installed import Installed
from manifests.paying import Owed
from wire import limits
from wire.entries import Used
from wire.ids import RunId
from wire.labels import join
from wire.rates import LATE_PER_MINUTE, Rate
from wire.tape import Began

if TYPE_CHECKING:
    from kernel.record.tapes import Tape

GRACE: Final = 5.0
"""Seconds between asking a run to stop and killing its PID namespace; at half of it, it is sent TERM."""

EXIT_LINK_LOST: Final = 75
"""What a run ends with that lost its link to the kernel (EX_TEMPFAIL of sysexits.h): no fault of its Hand's."""

BEHIND_MOST: Final = 4 * 1024 * 1024
"""Bytes that wait for the disk, or for a peer itself, while more is told or handed to it."""

UNSENT_MOST: Final = (16 * 1024 * 1024, 256 * 1024 * 1024)
"""Bytes that are kept in memory for a peer that does not read: more, and it is ended. The first is for a command of the
operator's, which has few calls open; the other for a run: a service's unsent, a task's that are not on its tape yet."""


class Peer:
    """One connection to the bus, bound to its principal at Hello. made: its open calls by the number it gave them.

    link: the bus's name for the connection. late: how much it said of calls that are not open. unsent: what it has not
    taken yet, in order; behind: bytes of that. looks: how many saw bytes of it on their way since its last message.
    """

    __slots__ = (
        "behind", "event_credit", "events", "in_flight", "late", "link", "looks", "made", "missed", "principal", "rate",
        "route", "run", "topics", "unsent",
    )  # fmt: skip

    def __init__(
        self, route: bytes, principal: str, run: "Run | None", rate: Rate, in_flight: int, link: tuple[int, int]
    ) -> None:
        self.route, self.principal, self.run, self.link = route, principal, run, link
        self.rate, self.late, self.in_flight = rate, Rate(LATE_PER_MINUTE, time.monotonic()), in_flight
        self.made: dict[int, OpenCall] = {}
        self.topics: set[str] = set()
        self.events: deque[tuple[str, tuple[str, ...], bytes, int]] = deque()
        self.event_credit = limits.EVENT_WINDOW
        self.missed = self.behind = self.looks = 0
        self.unsent: deque[tuple[bytes, bytes]] = deque()

    def keep(self, header: bytes, body: bytes) -> bool:
        """Keep a message until the peer takes it; False when that would be more than is kept for anybody."""
        self.behind += len(header) + len(body)
        self.unsent.append((header, body))
        return self.behind <= UNSENT_MOST[self.run is not None]

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for it that more is to wait where it comes from."""
        return self.behind > BEHIND_MOST


_GOES_ON: Final = (
    "asked", "began", "calls", "clock", "cost", "fired", "labels", "parent", "progress", "seed", "started", "tape", "tokens",
    "used",
)  # fmt: skip
"""What one process of a run hands to the next."""


RunState: TypeAlias = Literal["waiting", "launching", "joining", "ready", "left", "lost"]
"""waiting: it has no process. launching: until it is walled in but for the last layer. joining: until its start() returned.
ready: it takes calls. left: it said Bye, or goes on no more. lost: its link was cut, and its process is being ended.

    waiting ⇄ launching → joining → ready        back to waiting when its start is refused
    waiting, launching → left                    given up before it has a process
    joining, ready → left, and → lost            its process ends; the next one is another Run, which begins by waiting

No table checks these moves, as lives.LIFE and calls.LIFE do theirs: a state tells what was seen of a process, which does what
it does at any moment. What a peer may do in which state is asked where it is done.
"""


class Run:
    """One process. serving: calls open at it.

    grants: what its Hand may do. work: the one call a task run is for. uid: its host user id, None where it keeps the
    kernel's. labels: of all it has seen; vouched: those of its work when it was last told something. digest_key: for the
    log's digests of its bodies. ended: told or found to end.
    grouped: it is in its control group. link: its peer's, known also when that has left.
    held: messages that came while it was paused. scratch: the run whose scratch folder it works in, itself mostly.
    beside: processor time of its processes but the first, in seconds, as of the last look. used: by its guests, as it says.
    owing: calls at it that were settled without its word, what as, and when. fired: the firing of its schedule that began
    it; instead: the run that it was begun instead of. Of a run that can go on in another process: tape; began, what it was
    begun with; clock, microseconds, and seed, of its first process; asked: the call that asked for it; before: processor
    time of its earlier processes, microseconds; count: records on its tape when this one was made; leaves: its process is
    ended, its work is not.
    """

    __slots__ = (
        "applied", "asked", "before", "began", "beside", "calls", "clock", "cost", "count", "cpu", "digest_key", "ended",
        "fired", "grants", "grouped", "hand", "held", "id", "instead", "key", "labels", "leaves", "link", "memory", "missing",
        "number", "owing", "parent", "paused", "peer", "pid", "pidfd", "progress", "scratch", "seed", "serving", "started",
        "state", "talk", "tape", "tokens", "uid", "unfit", "used", "vouched", "why", "work",
    )  # fmt: skip

    def __init__(self, run: RunId, hand: Installed, grants: GrantSet, digest_key: bytes, work: OpenCall | None) -> None:
        self.id, self.hand, self.grants, self.digest_key, self.work = run, hand, grants, digest_key, work
        self.labels: frozenset[str] = work.labels if work else frozenset()
        self.vouched: frozenset[str] = frozenset()
        self.state: RunState = "launching"
        self.peer: Peer | None = None
        self.serving: dict[int, OpenCall] = {}
        self.number = self.pid = self.calls = self.cost = self.tokens = self.cpu = self.memory = 0
        self.used = Used()
        self.owing: dict[int, Owed] = {}
        self.pidfd, self.link = -1, (0, -1)
        self.uid: int | None = None
        self.talk: socket | None = None
        self.key = b""
        self.applied: tuple[str, ...] = ()
        self.missing: tuple[str, ...] = ()
        self.progress: dict[str, object] | None = None
        self.held: list[list[bytes]] = []
        self.parent = self.unfit = self.why = self.fired = self.instead = ""
        self.scratch: str = run
        self.ended = self.paused = self.grouped = self.leaves = False
        self.tape: Tape | None = None
        self.began: Began | None = None
        self.asked = self.clock = self.before = self.count = 0
        self.beside = 0.0
        self.seed = int.from_bytes(os.urandom(7), "big")
        self.started = time.monotonic()

    def next(self) -> "Run":
        """The same run, to have another process."""
        again = Run(self.id, self.hand, self.grants, self.digest_key, self.work)
        for name in _GOES_ON:
            setattr(again, name, getattr(self, name))
        again.before, again.state = self.before + self.cpu, "waiting"
        return again

    @property
    def is_task(self) -> bool:
        """Whether it does one piece of work and ends."""
        return self.hand.is_task

    @property
    def name(self) -> str:
        """Its Hand's name."""
        return self.hand.name

    @property
    def has_room(self) -> bool:
        """Whether it can be handed one more call; its link may turn out to be cut while it is handed several."""
        peer, most = self.peer, self.hand.package.manifest.limits.in_flight
        return peer is not None and not peer.is_behind and len(self.serving) < most

    def mark(self, labels: Collection[str]) -> None:
        """It has seen something with these labels: a task's work is of it from now on, too, and who works in its folder."""
        if labels and (joined := join(self.labels, labels)) != self.labels:
            self.labels = joined
            lodgers = (one for one in self.peer.made.values() if one.landlord) if self.peer else ()
            for call in [self.work, *lodgers] if self.work else [*lodgers]:
                call.mark(joined)

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far, in seconds."""
        return self.first_cpu() + self.beside

    def first_cpu(self) -> float:
        """That of its first process alone, as of now; 0 when it is gone (clock_getcpuclockid(3))."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2) if self.pid else 0.0
        except OSError:
            return 0.0


def carried(run: Run | None, parent: OpenCall | None) -> frozenset[str]:
    """What goes with a call, or with more of its upload: the labels of what it is made for, else of all its run has seen."""
    return parent.labels if parent is not None else run.labels if run is not None else frozenset()


def goes_on(status: int, *, is_told: bool, is_unfit: bool) -> bool:
    """Whether a run whose process ended so is unfinished: nobody told it to end, it did not do so itself, nor hit a limit."""
    if is_told or is_unfit:
        return False
    if status >= 0 and os.WIFSIGNALED(status):
        return os.WTERMSIG(status) not in (signal.SIGXCPU, signal.SIGXFSZ)
    return status < 0 or os.waitstatus_to_exitcode(status) == EXIT_LINK_LOST


def was_killed(status: int) -> bool:
    """Whether a run's first process was ended from outside: nothing in its namespace can send that one KILL."""
    return status < 0 or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)


def ending(status: int) -> str:
    """How a process ended, in words, from waitpid's status; -1 when nobody saw it."""
    if status < 0:
        return "nobody saw its process end"
    if number := os.WTERMSIG(status):
        return f"killed by {next((one.name for one in signal.Signals if one == number), f'signal {number}')}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
