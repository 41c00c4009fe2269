"""Does disk work in a few threads, so that one slow disk does not keep every caller waiting (acts).

Its one promise: `do` returns or raises only after the work has ended, cancelled or not. So a descriptor that the work
uses is never closed, and its number never given to another file, while a thread still reads or writes through it.
A ThreadPoolExecutor does not keep it where there is no room for another thread: it raises, and does the work later.
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

PATIENCE: Final = 5.0
AGAIN: Final = 0.02
"""Seconds that are waited for a first thread: another process of the same user id may be ending; and between two tries."""


class DiskThreads:
    """threads: how many at most; they count towards the Hand's limit `processes`. Where only fewer can be had, they do."""

    def __init__(self, threads: int = 4) -> None:
        self._most, self._open = threads, 0
        self._threads: list[Thread] = []
        self._works: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work returns. Raises what it raises; a cancellation is passed on once the work has ended.

        Raises BlockingIOError when there is no thread, and none can be had: then nothing was done.
        """
        self._open += 1
        try:
            await self._find_thread()
            return await self._ended(lambda: work(*args, **kwargs))
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
        """See that there is a thread, and another one for what is to be done beside other work."""
        until = monotonic() + PATIENCE
        while len(self._threads) < min(self._open, self._most):
            thread = Thread(target=self._serve, name=f"disk_{len(self._threads)}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if self._threads:
                    return
                if monotonic() > until:
                    raise BlockingIOError(errno.EAGAIN, "there is no thread to do it") from None
                await asyncio.sleep(AGAIN)
            else:
                self._threads.append(thread)

    async def _ended(self, work: Callable[[], T]) -> T:
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
            del work_done, result  # an error that is raised keeps this frame, and they keep the error

    def _serve(self) -> None:
        while (act := self._works.get()) is not None:
            act()
            del act  # it keeps what was returned, and the next may be long in coming


def _act(work: Callable[[], T], result: Future[T]) -> None:
    try:
        result.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is its caller's
        result.set_exception(error)
    finally:
        del work, result  # likewise
