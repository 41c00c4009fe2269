"""What the kernel keeps of a peer on the bus and of a run (values only; router, exchange and supervisor change them)."""

import os
import signal
import time
from collections import deque
from collections.abc import Iterable
from socket import socket
from typing import Final

from manifests.calls import OpenCall
from manifests.grants import GrantSet
from manifests.paying import Owed
from manifests.state import Installed
from wire import limits
from wire.entries import Used
from wire.ids import RunId
from wire.labels import join
from wire.rates import LATE_PER_MINUTE, Rate

UNSENT_MOST: Final = 16 * 1024 * 1024
"""Bytes that are kept for a peer that does not read: more, and it is ended."""


class Peer:
    """One connection to the bus, bound to its principal at Hello. made: its open calls by the number it gave them.

    link: the bus's name for the connection. late: how much it said of calls that are not open. unsent: what it has not
    taken yet, in order; behind: bytes of that.
    """

    __slots__ = (
        "behind", "event_credit", "events", "in_flight", "late", "link", "made", "missed", "principal", "rate", "route",
        "run", "topics", "unsent",
    )  # fmt: skip

    def __init__(
        self, route: bytes, principal: str, run: "Run | None", rate: Rate, in_flight: int, link: tuple[int, int]
    ) -> None:
        self.route = route
        self.principal = principal
        self.run = run
        self.rate = rate
        self.late = Rate(LATE_PER_MINUTE, time.monotonic())
        self.in_flight = in_flight
        self.link = link
        self.made: dict[int, OpenCall] = {}
        self.topics: set[str] = set()
        self.events: deque[tuple[str, tuple[str, ...], bytes]] = deque()
        self.event_credit = limits.EVENT_WINDOW
        self.missed = self.behind = 0
        self.unsent: deque[tuple[bytes, bytes]] = deque()

    def keep(self, header: bytes, body: bytes) -> bool:
        """Keep a message until the peer takes it; False when that would be more than is kept for anybody."""
        self.behind += len(header) + len(body)
        self.unsent.append((header, body))
        return self.behind <= UNSENT_MOST


class Run:
    """One process. state: launching, joining, ready, left. serving: the calls that are open at it, by number.

    grants: what its Hand may do. work: the one call a task run is for. uid: its host user id, None where it keeps the
    kernel's. labels: of all it has seen. digest_key: for the log's digests of its bodies. ended: told or found to end.
    grouped: it is in its control group.
    held: messages that came while it was paused. scratch: the run whose scratch folder it works in, itself mostly.
    used: by its guests, as it says. owing: calls at it that were settled without its word, what as, and when.
    """

    __slots__ = (
        "applied", "calls", "cost", "cpu", "digest_key", "ended", "grants", "grouped", "hand", "held", "id", "key", "labels",
        "memory", "missing", "number", "owing", "parent", "paused", "peer", "pid", "pidfd", "progress", "scratch", "serving",
        "started", "state", "talk", "tokens", "uid", "unfit", "used", "why", "work",
    )  # fmt: skip

    def __init__(self, run: RunId, hand: Installed, grants: GrantSet, digest_key: bytes, work: OpenCall | None) -> None:
        self.id, self.hand, self.grants, self.digest_key, self.work = run, hand, grants, digest_key, work
        self.labels: frozenset[str] = work.labels if work else frozenset()
        self.state = "launching"
        self.peer: Peer | None = None
        self.serving: dict[int, OpenCall] = {}
        self.number = self.pid = self.calls = self.cost = self.tokens = self.cpu = self.memory = 0
        self.used = Used()
        self.owing: dict[int, Owed] = {}
        self.pidfd = -1
        self.uid: int | None = None
        self.talk: socket | None = None
        self.key = b""
        self.applied: tuple[str, ...] = ()
        self.missing: tuple[str, ...] = ()
        self.progress: dict[str, object] | None = None
        self.held: list[list[bytes]] = []
        self.parent = self.unfit = self.why = ""
        self.scratch: str = run
        self.ended = self.paused = self.grouped = False
        self.started = time.monotonic()

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
        return self.peer is not None and len(self.serving) < self.hand.package.manifest.limits.in_flight

    def mark(self, labels: Iterable[str]) -> None:
        """It has seen something with these labels: a task's work is of it from now on, too."""
        self.labels = join(self.labels, labels)
        if self.work is not None:
            self.work.mark(labels)

    def cpu_seconds(self) -> float:
        """Processor time of its first process so far, in seconds; 0 when it is gone (clock_getcpuclockid(3))."""
        if not self.pid:
            return 0.0
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return 0.0


def carried(run: Run | None, parent: OpenCall | None) -> frozenset[str]:
    """What goes with a call, or with more of its upload: the labels of what it is made for, else of all its run has seen."""
    return parent.labels if parent is not None else run.labels if run is not None else frozenset()


def ending(status: int) -> str:
    """How a process ended, in words, from waitpid's status; -1 when nobody saw it."""
    if status < 0:
        return "its process is gone with the template"
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
