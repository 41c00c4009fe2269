"""The kernel's loop (acts): one zmq poll over the bus's socket and one epoll of descriptors, and one heap of timers.

Descriptors of runs (pidfds, pipes, launch sockets) sit in the epoll, which is a single entry of the zmq poll: a thousand
of them in the zmq poll itself cost ten times as much, by measurement.
"""

import heapq
import os
import select
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final

import zmq

Act = Callable[[], object]
_IN: Final = int(zmq.POLLIN)

REST, ROUNDS = 2, 32
"""Milliseconds without a message after which deferred work is done; rounds with messages after which it is done anyway."""

READS_PER_ROUND: Final = 8
"""Most messages read in one round, before descriptors and timers get their turn."""

_CANCELLED: Final = 1_000
"""The heap is cleared of cancelled timers when they are more than this plus half of its size."""


_faults: Final = count()
FAULTS_MOST, FAULT_MOST = 256, 4_096
"""Most exceptions, and most characters of each, that a kernel writes to run/kernel.log, so that this file stays bounded."""


def log_fault() -> None:
    """Write the current exception, a bug of the kernel's, to stderr (run/kernel.log). On a full disk, write nothing."""
    if next(_faults) < FAULTS_MOST:
        with suppress(OSError):
            sys.stderr.write(traceback.format_exc()[-FAULT_MOST:])


class Timer:
    """A function to call at a certain time, unless cancelled."""

    __slots__ = ("_loop", "act")

    def __init__(self, loop: "Loop", act: Act) -> None:
        self._loop = loop
        self.act: Act | None = act

    def cancel(self) -> None:
        """Make sure that the function is not called."""
        self.act = None
        self._loop.cancelled += 1


class Loop:
    """Waits for the bus, descriptors and timers, and calls what was registered for each."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._acts: dict[int, Act] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = self.cancelled = 0
        self._stopped = False
        self._soon = deque[Act]()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch(self._wake, lambda: None)

    now = staticmethod(time.monotonic)
    """Seconds of a clock that never jumps."""

    def watch(self, descriptor: int, act: Act) -> None:
        """Call act whenever the descriptor is readable, or its other end is gone."""
        self._acts[descriptor] = act
        self._epoll.register(descriptor, select.EPOLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Undo watch(). Call it before the descriptor is closed."""
        if self._acts.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def after(self, seconds: float, act: Act) -> Timer:
        """Call act once, `seconds` from now."""
        return self.at(self.now() + seconds, act)

    def at(self, moment: float, act: Act) -> Timer:
        """Call act once, at `moment`, a time of now()."""
        timer = Timer(self, act)
        self._numbers += 1
        heapq.heappush(self._timers, (moment, self._numbers, timer))
        if self.cancelled > _CANCELLED + len(self._timers) // 2:
            self._timers = [entry for entry in self._timers if entry[2].act is not None]
            heapq.heapify(self._timers)
            self.cancelled = 0
        return timer

    def soon(self, act: Act) -> None:
        """Call act once the messages that have arrived are dispatched, so that what they cause together is sent together."""
        self._soon.append(act)

    def stop(self) -> None:
        """Make run() return after the current round. A signal may call it."""
        self._stopped = True
        os.eventfd_write(self._wake, 1)

    def run(self, bus: "zmq.Socket[bytes]", read_message: Act, do_deferred: Act) -> None:
        """Serve until stop(). read_message: read one message from the bus and act on it.

        do_deferred: do the deferred work. Called when no message has come for REST, so that it delays nobody, and after
        ROUNDS rounds with messages at the latest.
        """
        poll, both = zmq.zmq_poll, [(bus, _IN), (self._epoll.fileno(), _IN)]
        rounds = 0
        while not self._stopped:
            try:
                while self._soon:
                    self._soon.popleft()()
                patience = min(REST, self._poll_timeout()) if rounds else self._poll_timeout()
                found = poll(both, patience)  # type: ignore[arg-type]  # its stub knows no descriptors
                for ready, _ in found:
                    if ready is bus:
                        for number in range(READS_PER_ROUND):
                            if number and not poll(both[:1], 0):  # type: ignore[arg-type]  # as above
                                break
                            read_message()
                    else:
                        self._serve_descriptors()
                self._serve_timers()
                rounds = rounds + 1 if found and rounds < ROUNDS else 0
                if not rounds:
                    do_deferred()
            except Exception:  # noqa: BLE001 - a bug of the kernel's costs what it was doing, never the kernel
                log_fault()

    def _serve_descriptors(self) -> None:
        """Call the acts of all descriptors that are readable."""
        for descriptor, _ in self._epoll.poll(0):
            if (act := self._acts.get(descriptor)) is not None:
                act()

    def _serve_timers(self) -> None:
        """Call the acts of all timers that are due."""
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            if (act := heapq.heappop(self._timers)[2].act) is not None:
                act()

    def _poll_timeout(self) -> int:
        """Return the milliseconds until the next timer, for poll; an hour if there is none."""
        while self._timers and self._timers[0][2].act is None:
            heapq.heappop(self._timers)
        return max(0, int((self._timers[0][0] - self.now()) * 1000) + 1) if self._timers else 3_600_000
