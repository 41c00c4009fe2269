"""Shares a few threads among many owners (acts), so that nobody's long work holds up another's short work.

Owners take turns. Long work (declared so, or of an owner whose work was long lately) runs on some of the threads only, so
that the others are soon free for short work.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar, cast

T = TypeVar("T")

LONG_S: Final = 0.25
"""Seconds of processor time above which work was long."""

REMEMBERED_S: Final = 10.0
"""Seconds for which all work of an owner counts as long after some was."""


class _Work:
    """One piece of work. took: seconds of processor time. is_long: whether it counts as long."""

    __slots__ = ("do", "is_long", "owner", "result", "took")

    def __init__(
        self, owner: str, do: Callable[[], object], result: "asyncio.Future[object]", *, is_long: bool
    ) -> None:
        self.owner, self.do, self.result, self.is_long = owner, do, result, is_long
        self.took = 0.0

    def run(self) -> object:
        """Does the work, in a thread, and measures it."""
        began = time.thread_time()
        try:
            return self.do()
        finally:
            self.took = time.thread_time() - began


class Turns:
    """`threads` threads: at most `long_most` of them for long work, and `owner_most` for one owner."""

    def __init__(self, name: str, threads: int, *, long_most: int, owner_most: int) -> None:
        self._free, self._long_free, self._owner_most = threads, long_most, owner_most
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting: OrderedDict[str, deque[_Work]] = OrderedDict()
        self._at_work: dict[str, int] = {}
        self._long_until: dict[str, float] = {}

    def submit(self, owner: str, work: Callable[[], T], *, is_long: bool = False) -> "asyncio.Future[T]":
        """Queues work. The future gets its result."""
        result: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(_Work(owner, work, result, is_long=is_long))
        self._start_waiting()
        return cast("asyncio.Future[T]", result)  # the queue holds it as a future of object

    def give_up(self, result: "asyncio.Future[T]") -> None:
        """Cancels work that has not begun; nobody waits for it any more."""
        for owner, works in self._waiting.items():
            for work in works:
                if work.result is result:
                    works.remove(work)
                    if not works:
                        del self._waiting[owner]
                    result.cancel()
                    return

    def shutdown(self) -> None:
        """Waits for running work."""
        self._threads.shutdown(wait=True)

    def _start_waiting(self) -> None:
        """Starts waiting work on free threads, one owner after the other."""
        begun = True
        while self._free and begun:
            begun = any(map(self._begin_one_of, list(self._waiting)))

    def _begin_one_of(self, owner: str) -> bool:
        if self._at_work.get(owner, 0) >= self._owner_most:
            return False
        was_long = self._long_until.get(owner, 0.0) > time.monotonic()
        works = self._waiting[owner]
        for work in works:
            is_long = work.is_long or was_long
            if not is_long or self._long_free:
                works.remove(work)
                work.is_long = is_long
                self._waiting.move_to_end(owner)
                if not works:
                    del self._waiting[owner]
                self._begin(work)
                return True
        return False

    def _begin(self, work: _Work) -> None:
        self._free -= 1
        self._long_free -= work.is_long
        self._at_work[work.owner] = self._at_work.get(work.owner, 0) + 1
        made = asyncio.wrap_future(self._threads.submit(work.run))
        made.add_done_callback(partial(self._on_done, work))

    def _on_done(self, work: _Work, made: "asyncio.Future[object]") -> None:
        self._free += 1
        self._long_free += work.is_long
        self._at_work[work.owner] -= 1
        if not self._at_work[work.owner]:
            del self._at_work[work.owner]
        now = time.monotonic()
        if work.took > LONG_S:
            self._long_until[work.owner] = now + REMEMBERED_S
            self._long_until = {owner: until for owner, until in self._long_until.items() if until > now}
            asyncio.get_running_loop().call_later(
                REMEMBERED_S, self._start_waiting
            )  # its owner's work counts as short again
        error = made.exception()
        if not work.result.done():
            if error is not None:
                work.result.set_exception(error)
            else:
                work.result.set_result(made.result())
        self._start_waiting()
