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
from manifests.sharing import Serving
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
"""The exit code of a run that lost its link to the kernel (EX_TEMPFAIL of sysexits.h), which is no fault of its Hand."""

BEHIND_MOST: Final = 4 * 1024 * 1024
"""Bytes that may wait for the disk, or for a peer, before nothing more is sent or delivered to it."""

UNSENT_MOST: Final = (16 * 1024 * 1024, 256 * 1024 * 1024)
"""Bytes that are kept in memory for a peer that does not read; with more, it is ended. The first is for the operator's
commands, which have few open calls. The second is for a run: a service, or a task whose messages are not on its tape yet."""


class Peer:
    """One connection to the bus, bound to its principal at Hello.

    made: its open calls, by its own numbers. link: the connection, as the bus names it. topics: its subscriptions; events:
    those without credit yet; missed: how many were dropped. late: the rate of its messages about calls that are not open.
    unsent: messages that it has not taken yet, in order; behind: their bytes. looks: how often kernel/watch.py saw bytes
    from it on their way since its last whole message.
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
        """Keep a message until the peer takes it; False when that is more than UNSENT_MOST."""
        self.behind += len(header) + len(body)
        self.unsent.append((header, body))
        return self.behind <= UNSENT_MOST[self.run is not None]

    @property
    def is_behind(self) -> bool:
        """Whether it has fallen so far behind that its senders are to wait."""
        return self.behind > BEHIND_MOST


_GOES_ON: Final = (
    "asked", "began", "calls", "clock", "cost", "fired", "labels", "parent", "progress", "seed", "started", "tape", "tokens",
    "used",
)  # fmt: skip
"""Attributes of a Run that its next process takes over."""


RunState: TypeAlias = Literal["waiting", "launching", "joining", "ready", "left", "lost"]
"""waiting: it has no process. launching: until it is confined but for the last layer. joining: until its start() returned.
ready: it takes calls. left: it said Bye, or does not resume. lost: its link was cut, and its process is being killed.

    waiting ⇄ launching → joining → ready        back to waiting when its start is refused
    waiting, launching → left                    given up before it has a process
    joining, ready → left, and → lost            its process ends; the next one is another Run, which begins by waiting

No table checks these transitions, as lives.LIFE and calls.LIFE check theirs: a state is what was last observed of a process,
which may do anything at any moment. What a peer may do in a state is checked where it does it.
"""


class Run:
    """One process of a run, and what the kernel knows of the run.

    work: the one call that a task run is for. serving: the calls open at it. grants: what its Hand may do. uid: its user id
    on the host, None where it keeps the kernel's. digest_key: for the log's digests of its bodies. labels: of all that it
    has seen; vouched: those of its work when it was last sent something. ended: it was told to end, or was found to.
    unfit: why it had to be killed. grouped: it is in its control group. link: its peer's, also after that has left.
    held: messages that came while it was paused. scratch: the run whose scratch folder it uses, mostly itself. beside:
    processor time of all its processes but the first, in seconds, as of the last look. used: by WASM guests, as it says.
    owing: calls that were settled without its word, for what cost and when. fired: the firing of its schedule that started
    it. instead: the run whose place it took.

    Only of a run that can resume: tape; began: what it was begun with; clock (microseconds) and seed of its first process;
    asked: the call that asked for it; before: processor time of its earlier processes, in microseconds; count: records on
    its tape when this process was made; leaves: its process is being killed, and the run is to resume.
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
        self.serving = Serving()
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
        """The same run, waiting for its next process."""
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
        """Whether one more call can be delivered to it. To be asked before each: a delivery may find its link cut."""
        peer, most = self.peer, self.hand.package.manifest.limits.in_flight
        return peer is not None and not peer.is_behind and len(self.serving) < most

    def mark(self, labels: Collection[str]) -> None:
        """It has seen something with these labels: so has its work from now on, and every run in its scratch folder."""
        if labels and (joined := join(self.labels, labels)) != self.labels:
            self.labels = joined
            lodgers = (call for call in self.peer.made.values() if call.landlord) if self.peer else ()
            for call in [self.work, *lodgers] if self.work else [*lodgers]:
                call.mark(joined)

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far, in seconds."""
        return self.first_cpu() + self.beside

    def first_cpu(self) -> float:
        """Processor time of its first process, in seconds; 0 when that is gone (clock_getcpuclockid(3))."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2) if self.pid else 0.0
        except OSError:
            return 0.0


def carried(run: Run | None, parent: OpenCall | None) -> frozenset[str]:
    """The labels of a call and of its upload: those of the call it is made for, else of all that its run has seen."""
    return parent.labels if parent is not None else run.labels if run is not None else frozenset()


def goes_on(status: int, *, is_told: bool, is_unfit: bool) -> bool:
    """Whether a run resumes after its process ended with this status: not if it was told to, did so itself or hit a limit."""
    if is_told or is_unfit:
        return False
    if status >= 0 and os.WIFSIGNALED(status):
        return os.WTERMSIG(status) not in (signal.SIGXCPU, signal.SIGXFSZ)
    return status < 0 or os.waitstatus_to_exitcode(status) == EXIT_LINK_LOST


def was_killed(status: int) -> bool:
    """Whether a run's first process was killed from outside: no process in its own namespace can do that."""
    return status < 0 or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)


def ending(status: int) -> str:
    """How a process ended, in words, from waitpid's status; -1 when nobody saw it."""
    if status < 0:
        return "nobody saw its process end"
    if number := os.WTERMSIG(status):
        return f"killed by {next((known.name for known in signal.Signals if known == number), f'signal {number}')}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
