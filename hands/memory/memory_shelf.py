"""The open memory files (acts): which threads use them, and which are closed when others are needed.

SQLite blocks, so no call of it is made on the loop. Reads go to a few threads. Writes that wait at one file go together, up
to the first long one, to one of a few other threads; each file has one writer at a time. memory_turns decides whose turn it
is.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

import apsw

from memory.store import Reader, Store
from memory_clock import NOTED, SweepClock
from memory_file import Job, MemoryFile
from memory_turns import Turns

T = TypeVar("T")

OPEN_MOST: Final = 24
"""Files kept open at once, unless more are in use."""

WRITERS: Final = 4
LONG_WRITERS: Final = 2
READERS: Final = 5
LONG_READERS: Final = 3
OWNER_READERS: Final = 2
"""Threads that write; of these, for long work; threads that read; of these, for long work, and for one owner."""

TOGETHER: Final = 256
"""Most writes that share one sync."""

ASIDE: Final = ""
"""The owner of work that uses no owner's file."""

FILES_MOST: Final = 96
"""Most files that are open or in use: each takes a few descriptors. A call that needs one more waits."""

CACHE_MOST: Final = 96 << 20
"""Bytes of SQLite's page cache, over all files."""


class Shelf:
    """All memory files below a folder. now: the clock in microseconds; quota: bytes of one file, which may change.

    steady: seconds of a clock that never leaps.
    """

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], int],
        quota: int,
        open_most: int = OPEN_MOST,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._now, self._open_most = folder, now, open_most
        self._until = SweepClock(folder / NOTED, now, steady)
        self.quota = quota
        self._files: OrderedDict[str, MemoryFile] = OrderedDict()
        self._writers = Turns("write", WRITERS, long_most=LONG_WRITERS, owner_most=1)
        self._readers = Turns("read", READERS, long_most=LONG_READERS, owner_most=OWNER_READERS)
        self._room = asyncio.Event()
        self._nothing = threading.local()
        apsw.soft_heap_limit(CACHE_MOST)

    def path_of(self, owner: str) -> Path:
        """The file of an owner, `own/ID` or `shared/NAME`."""
        return self._folder / f"{owner}.db"

    def owners(self) -> list[str]:
        """All owners with a file, sorted. Blocks: not for the loop."""
        found = (
            path.relative_to(self._folder) for kind in ("own", "shared") for path in self._folder.glob(f"{kind}/*.db")
        )
        return sorted(str(path).removesuffix(".db") for path in found)

    def existing(self, owners: Iterable[str]) -> set[str]:
        """Those of the owners that have a file. Blocks: not for the loop."""
        return {owner for owner in owners if self.path_of(owner).exists()}

    def last_changed(self, most: int) -> list[str]:
        """The owners whose files changed last, latest first, at most `most`. Blocks: not for the loop."""
        return sorted(self.owners(), key=lambda owner: _modified_ns(self.path_of(owner)), reverse=True)[:most]

    async def read(self, owner: str, work: Callable[[Reader], T], *, is_long: bool = False) -> T:
        """Runs `work` on what is committed when it begins. An owner without a file has an empty memory.

        is_long: it reads much, so short work must not wait for it.
        """
        file = await self._enter(owner)
        result = self._readers.submit(owner, lambda: file.read(work, self._empty), is_long=is_long)
        result.add_done_callback(partial(self._leave, file))
        return await self._read(result)

    async def write(
        self,
        owner: str,
        work: Callable[[Store], T],
        *,
        frees: bool = False,
        is_long: bool = False,
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Runs `work` and returns its result once it is on disk. `work` may be run twice, so it must only write there.

        frees: it makes room, and so may go a little beyond the quota. is_long: as for read(). then: called with the result,
        in the order of the writes, even if nobody waits for it any more.
        """
        return await self._queue_write(await self._enter(owner), work, frees=frees, is_long=is_long, then=then)

    async def write_if_there(
        self, owner: str, work: Callable[[Store], T], *, frees: bool = False, is_long: bool = False
    ) -> T | None:
        """As write(), if there is a file; else None: background work must not create one."""
        file = await self._enter(owner)  # from here on nobody can remove it
        if not file.path.exists():
            self._release(file)
            return None
        return await self._queue_write(file, work, frees=frees, is_long=is_long)

    async def exclusively(self, owner: str, work: Callable[[Path], T]) -> T:
        """Runs `work` on an owner's file while it is closed and nobody else may open it."""
        file = await self._bar(owner)
        result = self._writers.submit(owner, lambda: work(file.path))
        result.add_done_callback(lambda _: self._unbar(file))
        return await asyncio.shield(result)

    async def in_thread(self, work: Callable[[], T], owner: str = ASIDE, *, is_long: bool = False) -> T:
        """Runs `work`, which uses no store, in a reading thread. owner: whose turn it takes; is_long: as for read()."""
        return await self._read(self._readers.submit(owner, work, is_long=is_long))

    async def close(self) -> None:
        """Waits for running work and closes every file."""
        for owner in list(self._files):
            await self._bar(owner)
        self._writers.shutdown()
        self._readers.shutdown()

    async def _read(self, result: "asyncio.Future[T]") -> T:
        """Waits for a read. If the caller is cancelled before the read began, it is dropped."""
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            self._readers.give_up(result)
            raise

    # use of files ----------------------------------------------------------------------------------------------------

    async def _free(self, owner: str) -> MemoryFile:
        """An owner's file, once it is not barred and there is room for it. The caller must act before it awaits again."""
        while True:
            file = self._files.get(owner)
            if file is None and len(self._files) >= FILES_MOST:
                self._close_spare()
                self._room.clear()
                await self._room.wait()
                continue
            if file is None:
                file = self._files[owner] = MemoryFile(owner, self.path_of(owner), self._now, self.quota, self._until)
            if file.barred is None:
                return file
            await file.barred.wait()

    async def _enter(self, owner: str) -> MemoryFile:
        file = await self._free(owner)
        file.users += 1
        file.idle.clear()
        file.quota = self.quota
        self._files.move_to_end(owner)
        self._close_spare()
        return file

    def _leave(self, file: MemoryFile, done: "asyncio.Future[object]") -> None:
        """Called when work on a file has ended, even if nobody waits for it any more."""
        if not done.cancelled():
            done.exception()  # or asyncio would log that nobody retrieved it
        self._release(file)

    def _release(self, file: MemoryFile) -> None:
        file.users -= 1
        if not file.users:
            file.idle.set()
            if len(self._files) >= FILES_MOST:
                self._close_spare()

    def _close_spare(self) -> None:
        """Closes unused files, the longest unused first, while more are open than may be."""
        spare = [owner for owner, file in self._files.items() if not file.users and file.barred is None]
        staying = sum(file.barred is None for file in self._files.values())
        for owner in spare[: max(0, staying - self._open_most)]:
            file = self._files[owner]
            file.barred = asyncio.Event()
            closing = self._writers.submit(owner, file.close)
            closing.add_done_callback(partial(self._closed, owner, file))

    def _closed(self, owner: str, file: MemoryFile, done: "asyncio.Future[None]") -> None:
        done.exception()  # a file that failed to close is simply opened again
        self._files.pop(owner, None)
        self._room.set()
        self._unbar(file)

    async def _bar(self, owner: str) -> MemoryFile:
        """Bars a file from new users, waits until the present ones are done, and closes it."""
        file = await self._free(owner)
        file.barred = asyncio.Event()
        try:
            await file.idle.wait()
            await asyncio.shield(self._writers.submit(owner, file.close))
        except BaseException:
            self._unbar(file)
            raise
        return file

    def _unbar(self, file: MemoryFile) -> None:
        if file.barred is not None:
            file.barred.set()
            file.barred = None
        if len(self._files) >= FILES_MOST:
            self._close_spare()

    # writes ----------------------------------------------------------------------------------------------------------

    async def _queue_write(
        self,
        file: MemoryFile,
        work: Callable[[Store], T],
        *,
        frees: bool,
        is_long: bool,
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Queues work for a file that was entered, and waits for its result."""
        result: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        result.add_done_callback(partial(self._leave, file))
        if then is not None:
            result.add_done_callback(partial(_call_with_result, then))
        file.jobs.append(Job(work, result, frees=frees, is_long=is_long))
        self._start_writing(file)
        return cast(T, await asyncio.shield(result))  # the job holds the result as an object

    def _start_writing(self, file: MemoryFile) -> None:
        """Gives the waiting writes to a thread, unless one is writing."""
        if file.is_written or not file.jobs:
            return
        file.is_written = True
        jobs = [file.jobs.popleft()]
        while file.jobs and len(jobs) < TOGETHER and not (jobs[0].is_long or file.jobs[0].is_long):
            jobs.append(file.jobs.popleft())
        made = self._writers.submit(file.owner, lambda: file.write(jobs), is_long=jobs[0].is_long)
        made.add_done_callback(partial(self._on_written, file, jobs))

    def _on_written(self, file: MemoryFile, jobs: list[Job], done: "asyncio.Future[list[object]]") -> None:
        """Delivers the outcomes of the writes that were made; puts the others back in the queue."""
        file.is_written = False
        failed = done.exception()
        outcomes = [failed] * len(jobs) if failed is not None else done.result()
        file.jobs.extendleft(reversed(jobs[len(outcomes) :]))
        for job, outcome in zip(jobs, outcomes, strict=False):
            if job.result.done():
                continue
            if isinstance(outcome, BaseException):
                job.result.set_exception(outcome)
            else:
                job.result.set_result(outcome)
        self._start_writing(file)

    def _empty(self) -> Store:
        """An empty memory for this thread."""
        found: Store | None = getattr(self._nothing, "store", None)
        if found is None:
            found = self._nothing.store = Store(Path(":memory:"), now=self._now)
        return found


def _call_with_result(then: Callable[[T], None], done: "asyncio.Future[object]") -> None:
    if not done.cancelled() and done.exception() is None:
        then(cast(T, done.result()))  # as in _queue_write


def _modified_ns(path: Path) -> int:
    """When a file or its write-ahead log was last written, in ns; 0 if there is neither."""
    times = [one.stat().st_mtime_ns for one in (path, Path(f"{path}-wal")) if one.exists()]
    return max(times, default=0)
