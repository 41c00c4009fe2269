"""The open memory files (acts): which thread is at which, and which are closed when others are needed.

SQLite's calls block, so none is made on the loop: reads go to a few threads, the writes that wait at one file to one of a
few others, together, up to the first that is long. At each file only one thread writes at a time. Whose turn it is is decided
in memory_turns.
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
"""Files that are open at once, as long as not more are in use."""

WRITERS: Final = 4
LONG_WRITERS: Final = 2
READERS: Final = 5
LONG_READERS: Final = 3
OWNER_READERS: Final = 2
"""Threads that write and that read; of them for what is long, and for one owner."""

TOGETHER: Final = 256
"""Writes that share one sync, at most."""

ASIDE: Final = ""
"""Whose turn it is where a work is at no owner's file."""

FILES_MOST: Final = 96
"""Files that are open or in use: each takes a few descriptors. Who needs a further one waits."""

CACHE_MOST: Final = 96 << 20
"""Bytes of pages that SQLite keeps, over all files."""


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
        """Every owner that has a file, in order. It looks at the disk, so not on the loop."""
        found = (
            path.relative_to(self._folder) for kind in ("own", "shared") for path in self._folder.glob(f"{kind}/*.db")
        )
        return sorted(str(path).removesuffix(".db") for path in found)

    def there(self, owners: Iterable[str]) -> set[str]:
        """Those of some owners that have a file. As owners(), not on the loop."""
        return {owner for owner in owners if self.path_of(owner).exists()}

    def latest(self, most: int) -> list[str]:
        """Of all owners those whose files changed last, the latest first. As owners(), not on the loop."""
        return sorted(self.owners(), key=lambda owner: _changed(self.path_of(owner)), reverse=True)[:most]

    async def read(self, owner: str, work: Callable[[Reader], T], *, is_long: bool = False) -> T:
        """What the work answers from what was committed when it began. An owner without a file has an empty memory.

        is_long: it goes through much, so that what is short is not to wait for it.
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
        """What the work answers, once it is on the disk. It may be run again, so it does nothing but write there.

        frees: it makes room, and so may go a little beyond the quota. is_long: as for read(). then: is told what it
        answered, each in the order of the writes, whether or not anybody waits for it still.
        """
        return await self._written(await self._enter(owner), work, frees=frees, is_long=is_long, then=then)

    async def write_if_there(
        self, owner: str, work: Callable[[Store], T], *, frees: bool = False, is_long: bool = False
    ) -> T | None:
        """As write(), where there is a file. None where there is none: what goes on in the background makes none anew."""
        file = await self._enter(owner)  # from here on nobody removes it
        if not file.path.exists():
            self._go(file)
            return None
        return await self._written(file, work, frees=frees, is_long=is_long)

    async def exclusively(self, owner: str, work: Callable[[Path], T]) -> T:
        """Run `work` on an owner's file while the file is closed and nobody else may open it."""
        file = await self._bar(owner)
        result = self._writers.submit(owner, lambda: work(file.path))
        result.add_done_callback(lambda _: self._unbar(file))
        return await asyncio.shield(result)

    async def in_thread(self, work: Callable[[], T], owner: str = ASIDE, *, is_long: bool = False) -> T:
        """Run `work`, which uses no store, in a reading thread. owner: whose turn it takes; is_long: as in read()."""
        return await self._read(self._readers.submit(owner, work, is_long=is_long))

    async def close(self) -> None:
        """End what goes on, and close every file."""
        for owner in list(self._files):
            await self._bar(owner)
        self._writers.shutdown()
        self._readers.shutdown()

    async def _read(self, result: "asyncio.Future[T]") -> T:
        """Wait for a read. If its caller is cancelled before the read has begun, it is not begun."""
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            self._readers.give_up(result)
            raise

    # who is at which file --------------------------------------------------------------------------------------------

    async def _free(self, owner: str) -> MemoryFile:
        """An owner's file, when nobody keeps others from it. Whoever gets it acts before it waits again."""
        while True:
            file = self._files.get(owner)
            if file is None and len(self._files) >= FILES_MOST:
                self._close_the_oldest()
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
        self._close_the_oldest()
        return file

    def _leave(self, file: MemoryFile, done: "asyncio.Future[object]") -> None:
        """Somebody's work at a file has ended, whether or not he waits for it still."""
        if not done.cancelled():
            done.exception()
        self._go(file)

    def _go(self, file: MemoryFile) -> None:
        file.users -= 1
        if not file.users:
            file.idle.set()
            if len(self._files) >= FILES_MOST:
                self._close_the_oldest()

    def _close_the_oldest(self) -> None:
        """Let go of files that nobody is at, the longest unused first, while more are open than may be."""
        spare = [owner for owner, file in self._files.items() if not file.users and file.barred is None]
        staying = sum(file.barred is None for file in self._files.values())
        for owner in spare[: max(0, staying - self._open_most)]:
            file = self._files[owner]
            file.barred = asyncio.Event()
            closing = self._writers.submit(owner, file.close)
            closing.add_done_callback(partial(self._closed, owner, file))

    def _closed(self, owner: str, file: MemoryFile, done: "asyncio.Future[None]") -> None:
        done.exception()  # one that cannot be closed is opened anew all the same
        self._files.pop(owner, None)
        self._room.set()
        self._unbar(file)

    async def _bar(self, owner: str) -> MemoryFile:
        """Keep everybody from a file, wait until those who are at it are gone, and close it."""
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
            self._close_the_oldest()

    # writes ----------------------------------------------------------------------------------------------------------

    async def _written(
        self,
        file: MemoryFile,
        work: Callable[[Store], T],
        *,
        frees: bool,
        is_long: bool,
        then: Callable[[T], None] | None = None,
    ) -> T:
        """What a work answers, of who has entered the file."""
        result: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        result.add_done_callback(partial(self._leave, file))
        if then is not None:
            result.add_done_callback(partial(_tell, then))
        file.jobs.append(Job(work, result, frees=frees, is_long=is_long))
        self._go_on(file)
        return cast(T, await asyncio.shield(result))  # what the work answered went through the job as an object

    def _go_on(self, file: MemoryFile) -> None:
        """Let a thread make the writes that wait, unless one is at it."""
        if file.is_written or not file.jobs:
            return
        file.is_written = True
        jobs = [file.jobs.popleft()]
        while file.jobs and len(jobs) < TOGETHER and not (jobs[0].is_long or file.jobs[0].is_long):
            jobs.append(file.jobs.popleft())
        made = self._writers.submit(file.owner, lambda: file.write(jobs), is_long=jobs[0].is_long)
        made.add_done_callback(partial(self._made, file, jobs))

    def _made(self, file: MemoryFile, jobs: list[Job], done: "asyncio.Future[list[object]]") -> None:
        """What became of the first of them; the others go on waiting."""
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
        self._go_on(file)

    def _empty(self) -> Store:
        """A memory that holds nothing, for this thread."""
        found: Store | None = getattr(self._nothing, "store", None)
        if found is None:
            found = self._nothing.store = Store(Path(":memory:"), now=self._now)
        return found


def _tell(then: Callable[[T], None], done: "asyncio.Future[object]") -> None:
    if not done.cancelled() and done.exception() is None:
        then(cast(T, done.result()))  # as in _written


def _changed(path: Path) -> int:
    """When a file, or its log, was last written; 0 where neither is."""
    times = [one.stat().st_mtime_ns for one in (path, Path(f"{path}-wal")) if one.exists()]
    return max(times, default=0)
