"""Runs blocking disk work in a few threads, so that one slow disk does not hold up every caller (acts).

Its one promise: `do` returns or raises only after the work has ended, even when cancelled. So no descriptor is closed,
and its number reused, while a thread still reads or writes through it. ThreadPoolExecutor breaks that promise: if it
cannot start a thread, it raises and still does the work later.
"""

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREAD_WAIT: Final = 5.0
RETRY_EVERY: Final = 0.02
"""Seconds to try for a first thread (another process of the same user id may be ending), and between two tries."""


class DiskThreads:
    """At most `threads` threads, which count towards the Hand's limit `processes`. If fewer start, those do all work."""

    def __init__(self, threads: int = 4) -> None:
        self._most, self._open = threads, 0
        self._threads: list[Thread] = []
        self._works: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs the work in a thread and returns its result. A cancellation is raised once the work has ended.

        Raises what the work raises; BlockingIOError, before anything was done, if no thread can be started.
        """
        self._open += 1
        try:
            await self._find_thread()
            return await self._run_to_end(lambda: work(*args, **kwargs))
        finally:
            self._open -= 1

    def close(self) -> None:
        """Ends the threads when their work is done."""
        for _ in self._threads:
            self._works.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    async def _find_thread(self) -> None:
        """Starts threads until there is one per open work, up to the most."""
        until = monotonic() + THREAD_WAIT
        while len(self._threads) < min(self._open, self._most):
            thread = Thread(target=self._serve, name=f"disk_{len(self._threads)}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if self._threads:
                    return
                if monotonic() > until:
                    raise BlockingIOError(errno.EAGAIN, "there is no thread to do it") from None
                await asyncio.sleep(RETRY_EVERY)
            else:
                self._threads.append(thread)

    async def _run_to_end(self, work: Callable[[], T]) -> T:
        result: Future[T] = Future()
        self._works.put(partial(_act, work, result))
        work_done = asyncio.wrap_future(result)
        cancelled: asyncio.CancelledError | None = None
        while not work_done.done():
            try:
                await asyncio.wait([work_done])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            work_done.exception()
            raise cancelled
        try:
            return work_done.result()
        finally:
            del work_done, result  # the raised error holds this frame, and these would hold the error

    def _serve(self) -> None:
        while (act := self._works.get()) is not None:
            act()
            del act  # it holds the result, and the next work may be a long time off


def _act(work: Callable[[], T], result: Future[T]) -> None:
    try:
        result.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised again in the caller
        result.set_exception(error)
    finally:
        del work, result  # as in _run_to_end
