"""The loop of a run (acts): asyncio's selector loop, which takes one frame from the bus whenever nothing else is ready.

Separate because of its one rule: a frame is taken only when the Hand's code cannot go on without one. So the order in
which concurrent code meets its frames depends on the frames alone, and a resumed run meets them as it first did.

The selector is the one place that knows when the loop is idle: asyncio asks it to wait, not merely to look, only then.
It is also where zmq's descriptor is dealt with. That descriptor is edge-triggered (zmq_getsockopt(3), ZMQ_FD): any send
or receive may swallow its edge, so before every wait the sockets themselves are asked whether something has come.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Final

BUSY_ROUNDS: Final = 64
"""Rounds of the loop after which descriptors are looked at, and a frame is taken, though something is ready: a Hand
that spins can still be stopped."""


class IdleSelector(selectors.EpollSelector):
    """Epoll that shows the bus as readable only when the loop is idle. waiting: whether the bus holds something now."""

    def __init__(self) -> None:
        super().__init__()
        self._bus: frozenset[int] = frozenset()
        self._waiting: Callable[[], bool] = _nothing
        self._busy = 0

    def attend(self, descriptors: frozenset[int], waiting: Callable[[], bool]) -> None:
        """From now on treat these descriptors, all of them registered, as the bus."""
        self._bus = descriptors
        self._waiting = waiting

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """The ready descriptors, in a round in which nothing else was ready before; of the bus's only one."""
        idle = timeout is None or timeout > 0 or self._busy >= BUSY_ROUNDS
        if not idle:
            self._busy += 1
            return []
        self._busy = 0
        if not self._waiting():
            return self._one_of_the_bus(super().select(timeout))
        events = [event for event in super().select(0) if event[0].fd not in self._bus]
        descriptor = next(iter(self._bus))
        return [*events, (self.get_map()[descriptor], selectors.EVENT_READ)]

    def _one_of_the_bus(
        self, events: list[tuple[selectors.SelectorKey, int]]
    ) -> list[tuple[selectors.SelectorKey, int]]:
        of_bus = [event for event in events if event[0].fd in self._bus]
        return events if len(of_bus) < 2 else [event for event in events if event not in of_bus[1:]]


def _nothing() -> bool:
    return False


def new_loop() -> tuple[asyncio.SelectorEventLoop, IdleSelector]:
    """A loop and its selector; its self-pipe, the last AF_UNIX socket of the run, exists when this returns."""
    selector = IdleSelector()
    return asyncio.SelectorEventLoop(selector), selector
