"""The loop of a run (acts): asyncio's selector loop, which takes one frame from the bus whenever nothing else is ready.

Separate because of its one rule: a frame is taken only when the Hand's code cannot go on without one. So the order in
which concurrent code meets its frames depends on the frames alone, and a resumed run meets them as it first did.

The selector is the one place that knows when the loop is idle: asyncio asks it to wait, not merely to look, only then.
Where a run can be gone through again, time too is told: the loop's clock moves only with frames, and when nothing is
ready but a timer is set, the loop asks the kernel to be woken for it. A Hand that spins gets a frame to go on with in the
same way, whether or not one has come by itself, since when one comes is no part of what is told again.

It is also where zmq's descriptor is dealt with. That descriptor is edge-triggered (zmq_getsockopt(3), ZMQ_FD): any send
or receive may swallow its edge, so before every wait the sockets themselves are asked whether something has come. And it
takes the frame itself: handed to asyncio as a descriptor that is ready, it would cost each message one more turn of the loop.
"""

import asyncio
import concurrent.futures
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from contextvars import Context
from itertools import count
from typing import Any, Final, Protocol

BUSY_ROUNDS: Final = 64
"""Rounds of the loop after which descriptors are looked at, and a frame is taken, though something is ready: a Hand
that spins can still be stopped."""

BUSY_MOMENT: Final = 0.002
"""Seconds of this thread's processor time after which the same is done where nothing is told again: a service's rounds may
be long, and whoever else calls it waits."""

_OWN_THREADS: Final = 3  # the loop's, and libzmq's two
_THREADS_MOST: Final = 32  # as many as Python has at most


class Clock(Protocol):
    """The clock of a run that can be gone through again."""

    def seconds(self) -> float:
        """What it shows, in seconds since 1970."""

    def wake_after(self, seconds: float) -> None:
        """Have a frame come so many seconds from now, unless one is to come before."""


Ready = list[tuple[selectors.SelectorKey, int]]


class IdleSelector(selectors.EpollSelector):
    """Epoll that takes a frame when the loop is idle, and never tells asyncio of the bus.

    clock: None for a loop whose time is the machine's.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._is_woken = self._is_spinning = False
        self._bus: frozenset[int] = frozenset()
        self._waiting: Callable[[], bool] = _nothing
        self._take: Callable[[], object] = _nothing
        self._busy, self._since = 0, 0.0
        self.begin: Callable[[], bool] = _nothing
        """Called at each round, before anything else; whether this round is to wait for nothing."""
        self.finish = _nothing
        """Takes what a thread has done for the loop; whether there was something."""

    def attend(self, descriptors: frozenset[int], waiting: Callable[[], bool], take: Callable[[], object]) -> None:
        """From now on treat these descriptors as the bus. waiting: whether it holds something now; take: takes one frame of
        it, if one has come, and lets no exception out.
        """
        self._bus, self._waiting, self._take = descriptors, waiting, take
        for descriptor in descriptors:
            self.register(descriptor, selectors.EVENT_READ)

    @property
    def is_idle(self) -> bool:
        """Whether nothing but a frame could make the loop go on when it took the last one, where there is a clock."""
        is_own = len(self.get_map()) > len(self._bus) + 1  # the bus, and the loop's self-pipe
        return not self._is_spinning and not is_own

    def select(self, timeout: float | None = None) -> Ready:
        """The ready descriptors but the bus's, in a round in which nothing else was ready before."""
        if self.begin():
            return []
        idle = timeout is None or timeout > 0 or self._busy >= BUSY_ROUNDS
        if not idle and not (self._clock is None and self._is_long()):
            self._busy += 1
            return []
        if self._clock is not None:
            return self._select_told(self._clock, timeout)
        self._busy = 0
        is_waiting = self._waiting()
        others, has_come = self._ready(0 if is_waiting else timeout)
        if is_waiting or has_come:
            self._take()
        return others

    def _is_long(self) -> bool:
        """Whether it has not been idle for a moment of its own work."""
        now = time.thread_time()
        if not self._busy:
            self._since = now
        return now - self._since >= BUSY_MOMENT

    def _select_told(self, clock: Clock, timeout: float | None) -> Ready:
        """As select(), and the loop goes on only with a frame, with a thread's work, or with what came from no bus."""
        if self.finish():
            self._busy = 0
            return []
        self._is_spinning = self._busy >= BUSY_ROUNDS
        if timeout is not None and not self._is_woken:
            clock.wake_after(timeout)
        if not self._waiting():
            others, has_come = self._ready(None)
            if not has_come:
                self._is_woken = timeout is not None
                return others
            if others or (self._is_spinning and not self._waiting()):  # who is idle may also be given nothing
                return others
        self._busy, self._is_woken = 0, False
        self._take()
        return []

    def _ready(self, timeout: float | None) -> tuple[Ready, bool]:
        """The ready descriptors but the bus's, and whether one of those is."""
        events = super().select(timeout)
        others = [event for event in events if event[0].fd not in self._bus]
        return others, len(others) < len(events)


def _nothing() -> bool:
    return False


class Loop(asyncio.SelectorEventLoop):
    """A loop of a run. threads: how many may do at once what `asyncio.to_thread` is given; most runs need none."""

    def __init__(self, selector: IdleSelector, threads: int) -> None:
        super().__init__(selector)
        self._most = threads
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, function: Callable[..., Any], *arguments: object
    ) -> asyncio.Future[Any]:
        """Have a thread do something; asyncio.to_thread comes here."""
        return super().run_in_executor(executor or self.pool(), function, *arguments)

    def pool(self) -> concurrent.futures.ThreadPoolExecutor:
        """What does it unless told otherwise, made when it is first wanted."""
        if self._pool is None:
            self.set_default_executor(concurrent.futures.ThreadPoolExecutor(self._most))
        assert self._pool is not None
        return self._pool

    def set_default_executor(self, executor: concurrent.futures.ThreadPoolExecutor) -> None:  # type: ignore[override]
        """Have another do it; closing the loop ends it."""
        super().set_default_executor(executor)
        self._pool = executor


class Told(Loop):
    """A loop whose time is told. Its tasks and futures are hashed by a number: so sets of them have the same order each
    time. What threads work out for it is taken when nothing else is ready, before any frame, and what was begun first
    comes first: so a run waits for its threads, and how long they take is no part of what it meets.
    """

    def __init__(self, selector: IdleSelector, clock: Clock, threads: int) -> None:
        self._threads: deque[tuple[concurrent.futures.Future[Any], asyncio.Future[Any]]] = deque()
        selector.finish = self._finish
        super().__init__(selector, threads)
        self.time = clock.seconds  # type: ignore[method-assign]  # it is asked at each turn
        self.set_task_factory(_numbered)
        asyncio.as_completed = asyncio.tasks.as_completed = _as_completed  # type: ignore[assignment]

    def create_future(self) -> asyncio.Future[Any]:
        """A future with a number."""
        return _Future(loop=self)

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, function: Callable[..., Any], *arguments: object
    ) -> asyncio.Future[Any]:
        """Have a thread do something; asyncio.to_thread comes here."""
        future = self.create_future()
        self._threads.append(((executor or self.pool()).submit(function, *arguments), future))
        return future

    def _finish(self) -> bool:
        """Wait for the thread's work that was begun first, and take it; whether there is any."""
        while self._threads:
            work, future = self._threads.popleft()
            if future.cancelled():
                work.cancel()
                continue
            error = work.exception()
            if error is None:
                future.set_result(work.result())
            else:
                future.set_exception(error)
            return True
        return False


_numbers = count()


class _Future(asyncio.Future[Any]):
    _number = -1

    def __hash__(self) -> int:
        if self._number < 0:
            self._number = next(_numbers)
        return self._number


class _Task(asyncio.Task[Any]):
    _number = -1
    __hash__ = _Future.__hash__


def _numbered(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **options: Context | None
) -> asyncio.Task[Any]:  # fmt: skip
    return _Task(work, loop=loop, **options)  # type: ignore[arg-type]  # they are the task's own


_by_address: Final = asyncio.as_completed


def _as_completed(works: Iterable[Any], *, timeout: float | None = None) -> Iterator[asyncio.Future[Any]]:
    """asyncio's own begins coroutines in the order of their addresses."""
    return _by_address([asyncio.ensure_future(work) for work in works], timeout=timeout)


def new_loop(clock: Clock | None = None, processes: int = 0) -> tuple[asyncio.SelectorEventLoop, IdleSelector]:
    """A loop and its selector; its self-pipe, the last AF_UNIX socket of the run, exists when this returns.

    processes: how many the run may have, threads too. What `asyncio.to_thread` is given takes no more of them than are left.
    """
    selector = IdleSelector(clock)
    threads = min(max(1, processes - _OWN_THREADS), _THREADS_MOST)
    loop = Loop(selector, threads) if clock is None else Told(selector, clock, threads)
    return loop, selector
