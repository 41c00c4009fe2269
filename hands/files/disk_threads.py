"""Does disk work in a few threads, so that one slow disk does not keep every caller waiting (acts).

Its one promise: `do` returns or raises only after the work has ended, cancelled or not. So a descriptor that the work
uses is never closed, and its number never given to another file, while a thread still reads or writes through it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DiskThreads:
    """threads: how many at most; they count towards the Hand's limit `processes`."""

    def __init__(self, threads: int = 4) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="disk")

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work returns. Raises what it raises; a cancellation is passed on once the work has ended."""
        work_done = asyncio.wrap_future(self._pool.submit(work, *args, **kwargs))
        cancelled: asyncio.CancelledError | None = None
        while not work_done.done():
            try:
                await asyncio.wait([work_done])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            work_done.exception()
            raise cancelled
        return work_done.result()

    def close(self) -> None:
        """Ends the threads when their work is done."""
        self._pool.shutdown(wait=True)
