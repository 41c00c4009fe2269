"""The event loop of a run (acts): asyncio's selector loop, which takes one message from the bus whenever it is idle.

Its one rule: a message is taken only when the Hand's code cannot go on without one. So the order in which concurrent code
sees its messages depends on these alone, and a resumed run sees them in the same order.

Only the selector knows when the loop is idle: asyncio calls select() with a timeout above 0, or none, only then. In a
deterministic run (one that can be resumed) the loop's clock moves only with messages: if nothing is ready but a timer is
set, the loop asks the kernel for a message at that time. A Hand that spins gets messages in the same way, even if others
have already arrived: arrival times are not recorded, so nothing may depend on them.

zmq's descriptor is handled here, too. It is edge-triggered (zmq_getsockopt(3), ZMQ_FD): any send or receive may consume the
edge, so before each wait the sockets themselves are asked. And the message is taken here: passed to asyncio as a ready
descriptor, it would cost one more round of the loop.
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
"""Rounds without being idle after which descriptors are polled and a message is taken all the same, so that a Hand that
spins can be stopped."""

BUSY_MOMENT: Final = 0.002
"""Seconds of this thread's processor time after which a service does the same: its rounds may be long, and other callers
wait."""

_OWN_THREADS: Final = 3  # the loop's, and libzmq's two
_THREADS_MOST: Final = 32  # as in Python's own default executor


class Clock(Protocol):
    """The clock of a deterministic run."""

    def seconds(self) -> float:
        """Seconds since 1970."""

    def wake_after(self, seconds: float) -> None:
        """Has a message sent so many seconds from now, unless one is due before."""


Ready = list[tuple[selectors.SelectorKey, int]]


class IdleSelector(selectors.EpollSelector):
    """An epoll selector that takes one message when the loop is idle, and hides the bus's descriptors from asyncio.

    clock: of a deterministic run; None for a loop on the machine's time.
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
        """Called first in each round; returns True if this round must not wait."""
        self.finish = _nothing
        """Takes the result of one thread; returns False if there was none to wait for."""

    def attend(self, descriptors: frozenset[int], waiting: Callable[[], bool], take: Callable[[], object]) -> None:
        """Sets the bus's descriptors. waiting: whether a message has arrived. take: takes one, if there is one, and raises
        nothing.
        """
        self._bus, self._waiting, self._take = descriptors, waiting, take
        for descriptor in descriptors:
            self.register(descriptor, selectors.EVENT_READ)

    @property
    def is_idle(self) -> bool:
        """In a deterministic run: whether only a message could have made the loop go on when it took the last one."""
        is_own = len(self.get_map()) > len(self._bus) + 1  # the bus, and the loop's self-pipe
        return not self._is_spinning and not is_own

    def select(self, timeout: float | None = None) -> Ready:
        """The ready descriptors except the bus's. Polls only if the loop is idle, or has not been for too long."""
        if self.begin():
            return []
        idle = timeout is None or timeout > 0 or self._busy >= BUSY_ROUNDS
        if not idle and not (self._clock is None and self._is_long()):
            self._busy += 1
            return []
        if self._clock is not None:
            return self._select_deterministic(self._clock, timeout)
        self._busy = 0
        is_waiting = self._waiting()
        others, has_come = self._ready(0 if is_waiting else timeout)
        if is_waiting or has_come:
            self._take()
        return others

    def _is_long(self) -> bool:
        """Whether the loop has worked for BUSY_MOMENT without being idle."""
        now = time.thread_time()
        if not self._busy:
            self._since = now
        return now - self._since >= BUSY_MOMENT

    def _select_deterministic(self, clock: Clock, timeout: float | None) -> Ready:
        """As select(), for an idle loop: waits for a thread's result, a message, or the Hand's own descriptors."""
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
            if others or (self._is_spinning and not self._waiting()):  # take() may find nothing, if the loop is idle
                return others
        self._busy, self._is_woken = 0, False
        self._take()
        return []

    def _ready(self, timeout: float | None) -> tuple[Ready, bool]:
        """The ready descriptors except the bus's, and whether one of the bus's is ready."""
        events = super().select(timeout)
        others = [event for event in events if event[0].fd not in self._bus]
        return others, len(others) < len(events)


def _nothing() -> bool:
    return False


class Loop(asyncio.SelectorEventLoop):
    """The loop of a run. threads: most threads of `asyncio.to_thread`; the pool is made when first used."""

    def __init__(self, selector: IdleSelector, threads: int) -> None:
        super().__init__(selector)
        self._most = threads
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, function: Callable[..., Any], *arguments: object
    ) -> asyncio.Future[Any]:
        """Runs a function in a thread; asyncio.to_thread calls this."""
        return super().run_in_executor(executor or self.pool(), function, *arguments)

    def pool(self) -> concurrent.futures.ThreadPoolExecutor:
        """The default executor, made when first used."""
        if self._pool is None:
            self.set_default_executor(concurrent.futures.ThreadPoolExecutor(self._most))
        assert self._pool is not None
        return self._pool

    def set_default_executor(self, executor: concurrent.futures.ThreadPoolExecutor) -> None:  # type: ignore[override]
        """Replaces the default executor; closing the loop shuts it down."""
        super().set_default_executor(executor)
        self._pool = executor


class DeterministicLoop(Loop):
    """The loop of a deterministic run, on the run's own clock.

    Tasks and futures are hashed by a counter, so that sets of them have the same order every time. Results of threads are
    taken when the loop is idle, before any message, in the order in which the threads were started: so the run waits for
    its threads, and how long these take changes nothing.
    """

    def __init__(self, selector: IdleSelector, clock: Clock, threads: int) -> None:
        self._threads: deque[tuple[concurrent.futures.Future[Any], asyncio.Future[Any]]] = deque()
        selector.finish = self._finish
        super().__init__(selector, threads)
        self.time = clock.seconds  # type: ignore[method-assign]  # called in each round
        self.set_task_factory(_numbered_task)
        asyncio.as_completed = asyncio.tasks.as_completed = _as_completed  # type: ignore[assignment]

    def create_future(self) -> asyncio.Future[Any]:
        """Makes a future that is hashed by its number."""
        return _Future(loop=self)

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, function: Callable[..., Any], *arguments: object
    ) -> asyncio.Future[Any]:
        """Runs a function in a thread; asyncio.to_thread calls this."""
        future = self.create_future()
        self._threads.append(((executor or self.pool()).submit(function, *arguments), future))
        return future

    def _finish(self) -> bool:
        """Waits for the thread that was started first and takes its result. False if there is none."""
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


def _numbered_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **options: Context | None
) -> asyncio.Task[Any]:  # fmt: skip
    return _Task(work, loop=loop, **options)  # type: ignore[arg-type]  # options of asyncio.Task


_by_address: Final = asyncio.as_completed


def _as_completed(works: Iterable[Any], *, timeout: float | None = None) -> Iterator[asyncio.Future[Any]]:
    """As asyncio.as_completed, which would start coroutines in the order of a set, that is, of their addresses."""
    return _by_address([asyncio.ensure_future(work) for work in works], timeout=timeout)


def new_loop(clock: Clock | None = None, processes: int = 0) -> tuple[asyncio.SelectorEventLoop, IdleSelector]:
    """Makes a loop and its selector. Its self-pipe exists on return, since later the run can make no AF_UNIX socket.

    clock: of a deterministic run. processes: the run's limit, threads included; `asyncio.to_thread` uses the rest of it.
    """
    selector = IdleSelector(clock)
    threads = min(max(1, processes - _OWN_THREADS), _THREADS_MOST)
    loop = Loop(selector, threads) if clock is None else DeterministicLoop(selector, clock, threads)
    return loop, selector
