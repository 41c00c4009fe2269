"""The kernel's loop (acts): one epoll for descriptors, one heap for timers, both under one poll of the zmq sockets.

Descriptors of runs (pidfds, pipes, launch talks) sit in the epoll, which is a single entry of the zmq poll: a thousand of
them in the zmq poll itself cost ten times as much, by measurement.
"""

import heapq
import select
import time
import traceback
from collections.abc import Callable, Sequence

import zmq

Act = Callable[[], None]


class Timer:
    """Something to do at a moment; cancel() makes it nothing."""

    __slots__ = ("act", "when")

    def __init__(self, when: float, act: Act) -> None:
        self.when = when
        self.act: Act | None = act

    def __lt__(self, other: "Timer") -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """Never to be done."""
        self.act = None


class Loop:
    """Waits for sockets, descriptors and moments, and calls what was registered for each."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._acts: dict[int, Act] = {}
        self._timers: list[Timer] = []
        self._poller = zmq.Poller()
        self._poller.register(self._epoll.fileno(), zmq.POLLIN)
        self._stopped = False

    def now(self) -> float:
        """Seconds of a clock that never jumps."""
        return time.monotonic()

    def watch(self, descriptor: int, act: Act) -> None:
        """Call act whenever the descriptor can be read, or its other end is gone."""
        self._acts[descriptor] = act
        self._epoll.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """Undo watch; the descriptor is still open."""
        if self._acts.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def after(self, seconds: float, act: Act) -> Timer:
        """Call act once, so many seconds from now."""
        timer = Timer(time.monotonic() + seconds, act)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        """Let run() return after what it is doing."""
        self._stopped = True

    def run(self, sockets: Sequence[tuple[zmq.Socket[bytes], Act]]) -> None:
        """Serve until stop(). A socket's act must read until nothing is left, or leave the rest for the next turn."""
        acts: dict[object, Act] = {}
        for socket, act in sockets:
            self._poller.register(socket, zmq.POLLIN)
            acts[socket] = act
        while not self._stopped:
            for ready, _ in self._poller.poll(self._patience()):
                _guarded(acts.get(ready, self._serve_descriptors))
            self._serve_timers()

    def _serve_descriptors(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            act = self._acts.get(descriptor)
            if act is not None:
                _guarded(act)

    def _serve_timers(self) -> None:
        timers, now = self._timers, time.monotonic()
        while timers and (timers[0].when <= now or timers[0].act is None):
            act = heapq.heappop(timers).act
            if act is not None:
                _guarded(act)

    def _patience(self) -> int | None:
        timers = self._timers
        while timers and timers[0].act is None:
            heapq.heappop(timers)
        if not timers:
            return None
        return max(0, int((timers[0].when - time.monotonic()) * 1000) + 1)


def _guarded(act: Act) -> None:
    """A fault of the kernel's own costs what it was doing at that moment, and is written down; it never ends the kernel."""
    try:
        act()
    except Exception:  # noqa: BLE001
        traceback.print_exc()
