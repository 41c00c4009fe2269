"""The kernel's records of a peer on the bus and of a run (values only; router, exchange and supervisor change them)."""

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
from wire.amounts import Used
from wire.ids import RunId
from wire.labels import join
from wire.rates import LATE_PER_MINUTE, Rate
from wire.tape import Began

if TYPE_CHECKING:
    from kernel.record.tapes import Tape

GRACE: Final = 5.0
"""Seconds between asking a run to stop and killing its PID namespace. The run is sent TERM after half of them."""

EXIT_LINK_LOST: Final = 75
"""Exit code of a run that lost its link to the kernel, which is no fault of its Hand (EX_TEMPFAIL of sysexits.h)."""

BEHIND_MOST: Final = 4 * 1024 * 1024
"""Bytes that may wait for the disk, or for a peer, before the kernel sends and delivers nothing more to it."""

UNSENT_MOST: Final = (16 * 1024 * 1024, 256 * 1024 * 1024)
"""Bytes kept in memory for a peer that does not read; beyond that it is ended. The first is for one of the operator's
commands, which have few open calls; the second for a run: a service, or a task whose messages are not on its tape yet."""


class Peer:
    """One connection to the bus, bound to its principal at Hello.

    open_calls: the calls it made that have no end yet, by its own numbers. link: see Bus.link. topics: its subscriptions.
    events: those that wait for its credit; missed: how many were dropped. late_rate: of its messages about calls that are
    not open. unsent: messages that it has not taken yet, in order; unsent_bytes: their size. stalled_checks: how often
    kernel/watch.py has found a part of a message, and no whole one, since its last whole message.
    """

    __slots__ = (
        "event_credit", "events", "in_flight", "late_rate", "link", "missed", "open_calls", "principal", "rate", "route",
        "run", "stalled_checks", "topics", "unsent", "unsent_bytes",
    )  # fmt: skip

    def __init__(
        self, route: bytes, principal: str, run: "Run | None", rate: Rate, in_flight: int, link: tuple[int, int]
    ) -> None:
        self.route, self.principal, self.run, self.link = route, principal, run, link
        self.rate, self.late_rate, self.in_flight = rate, Rate(LATE_PER_MINUTE, time.monotonic()), in_flight
        self.open_calls: dict[int, OpenCall] = {}
        self.topics: set[str] = set()
        self.events: deque[tuple[str, tuple[str, ...], bytes, int]] = deque()
        self.event_credit = limits.EVENT_WINDOW
        self.missed = self.unsent_bytes = self.stalled_checks = 0
        self.unsent: deque[tuple[bytes, bytes]] = deque()

    def keep_unsent(self, header: bytes, body: bytes) -> bool:
        """Keep a message until the peer takes it. Returns False if more than UNSENT_MOST bytes are kept now."""
        self.unsent_bytes += len(header) + len(body)
        self.unsent.append((header, body))
        return self.unsent_bytes <= UNSENT_MOST[self.run is not None]

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for this peer that its senders must wait."""
        return self.unsent_bytes > BEHIND_MOST


_KEPT_BY_NEXT: Final = (
    "asked", "began", "calls", "clock", "cost", "fired", "labels", "parent", "progress", "seed", "started", "tape", "tokens",
    "used",
)  # fmt: skip
"""Attributes of a Run that its next process takes over."""


RunState: TypeAlias = Literal["waiting", "launching", "joining", "ready", "left", "lost"]
"""waiting: it has no process. launching: until all of its confinement but the last layer is in place. joining: until its
start() returned. ready: it takes calls. left: it said Bye, or does not resume. lost: its link was cut, and its process is
being killed.

    waiting ⇄ launching → joining → ready        back to waiting when its start is refused
    waiting, launching → left                    given up before it has a process
    joining, ready → left or lost                its process ends; its next process is another Run, in `waiting`

No table checks these transitions, unlike those of lives.LIFE and calls.LIFE: a state is what was last observed of a process,
which may do anything at any moment. Each message is checked against the state where it is dispatched.
"""


class Run:
    """One process of a run, and what the kernel knows of the run.

    work: the call that a task run is for. serving: the calls open at it. grants: its Hand's. uid: its user id on the host,
    None if it keeps the kernel's. digest_key: for the log's digests of its bodies. labels: of all that it has seen;
    sent_labels: its work's labels when it was last sent a message. is_ending: it was told to end, or has ended. unfit: why
    it had to be killed. is_grouped: it is in its control group. launch_socket: the kernel's end, until the run has joined
    the bus. link: its peer's, kept after that has left. held_frames: messages that arrived while it was paused. scratch: the
    run whose scratch folder it uses, mostly itself. other_cpu: seconds of processor time of all its processes but the first,
    at the last check; still_at: of all, at the first check in a pause, -1.0 before it. used: by its WASM guests, as it
    reports. owing: calls settled without its word: their cost, and when. fired: the key of the schedule's firing that started
    it. instead: the run that it replaced.

    Only for a run that can resume: tape; began: what it was started with; clock (microseconds) and seed of its first process;
    asked: the number of the call that asked for it; earlier_cpu: processor time of its earlier processes, in microseconds;
    count: records on its tape when this process was made; is_leaving: its process is being killed, and the run will resume.
    """

    __slots__ = (
        "applied", "asked", "began", "calls", "clock", "cost", "count", "cpu", "digest_key", "earlier_cpu", "fired", "grants",
        "hand", "held_frames", "id", "instead", "is_ending", "is_grouped", "is_leaving", "key", "labels", "launch_socket",
        "link", "memory", "missing", "number", "other_cpu", "owing", "parent", "paused", "peer", "pid", "pidfd", "progress",
        "scratch", "seed", "sent_labels", "serving", "started", "state", "still_at", "tape", "tokens", "uid", "unfit", "used",
        "why", "work",
    )  # fmt: skip

    def __init__(self, run: RunId, hand: Installed, grants: GrantSet, digest_key: bytes, work: OpenCall | None) -> None:
        self.id, self.hand, self.grants, self.digest_key, self.work = run, hand, grants, digest_key, work
        self.labels: frozenset[str] = work.labels if work else frozenset()
        self.sent_labels: frozenset[str] = frozenset()
        self.state: RunState = "launching"
        self.peer: Peer | None = None
        self.serving = Serving()
        self.number = self.pid = self.calls = self.cost = self.tokens = self.cpu = self.memory = 0
        self.used = Used()
        self.owing: dict[int, Owed] = {}
        self.pidfd, self.link, self.key = -1, (0, -1), b""
        self.uid: int | None = None
        self.launch_socket: socket | None = None
        self.applied: tuple[str, ...] = ()
        self.missing: tuple[str, ...] = ()
        self.progress: dict[str, object] | None = None
        self.held_frames: list[list[bytes]] = []
        self.parent = self.unfit = self.why = self.fired = self.instead = ""
        self.scratch: str = run
        self.is_ending = self.paused = self.is_grouped = self.is_leaving = False
        self.tape: Tape | None = None
        self.began: Began | None = None
        self.asked = self.clock = self.earlier_cpu = self.count = 0
        self.other_cpu, self.still_at = 0.0, -1.0
        self.seed = int.from_bytes(os.urandom(7), "big")
        self.started = time.monotonic()

    def next_process(self) -> "Run":
        """Return the Run of this run's next process, which it waits for."""
        again = Run(self.id, self.hand, self.grants, self.digest_key, self.work)
        for name in _KEPT_BY_NEXT:
            setattr(again, name, getattr(self, name))
        again.earlier_cpu, again.state = self.earlier_cpu + self.cpu, "waiting"
        return again

    @property
    def is_task(self) -> bool:
        """Whether it does one piece of work and ends: no service."""
        return self.hand.is_task

    @property
    def name(self) -> str:
        """Its Hand's name."""
        return self.hand.name

    @property
    def has_room(self) -> bool:
        """Whether one more call can be delivered to it. Check before each delivery: the last may have found its link cut."""
        peer, most = self.peer, self.hand.package.manifest.limits.in_flight
        return peer is not None and not peer.is_behind and len(self.serving) < most

    def mark(self, labels: Collection[str]) -> None:
        """Add labels that it has seen; its work and all runs in its scratch folder get them too."""
        if not self.labels.issuperset(labels) and (joined := join(self.labels, labels)) != self.labels:
            self.labels = joined
            made = by.open_calls.values() if (by := self.tape or self.peer) else ()
            for call in filter(None, (self.work, *(one for one in made if one.landlord))):
                call.mark(joined)

    def cpu_seconds(self) -> float:
        """Return the processor time of all its processes so far, in seconds."""
        return self.first_cpu() + self.other_cpu

    def first_cpu(self) -> float:
        """Return the processor time of its first process, in seconds; 0 if that is gone (clock_getcpuclockid(3))."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2) if self.pid else 0.0
        except OSError:
            return 0.0


def labels_of_sender(run: Run | None, parent: OpenCall | None) -> frozenset[str]:
    """Return the labels of what a run sends: those of the call it is sent for, else of all that the run has seen."""
    return parent.labels if parent is not None else run.labels if run is not None else frozenset()


def resumes_after(status: int, *, was_told: bool, is_unfit: bool) -> bool:
    """Whether a run resumes after its process ended with this waitpid status: not if it was told to end, ended by itself, or
    hit a limit.
    """
    if was_told or is_unfit:
        return False
    if status >= 0 and os.WIFSIGNALED(status):
        return os.WTERMSIG(status) not in (signal.SIGXCPU, signal.SIGXFSZ)
    return status < 0 or os.waitstatus_to_exitcode(status) == EXIT_LINK_LOST


def was_killed_from_outside(status: int) -> bool:
    """Whether a run's first process was killed from outside. No process in its own PID namespace can do that."""
    return status < 0 or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)


def exit_text(status: int) -> str:
    """Return how a process ended, in words. status: of waitpid, -1 if nobody saw the end."""
    if status < 0:
        return "nobody saw its process end"
    if number := os.WTERMSIG(status):
        return f"killed by {next((known.name for known in signal.Signals if known == number), f'signal {number}')}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
