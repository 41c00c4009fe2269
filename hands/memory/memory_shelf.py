"""The open memory files (acts): each written by one thread at a time, read by a few, and closed when others are needed.

SQLite's calls block, so none is made on the loop. Writes of one file that wait for each other are made in one transaction,
each in a savepoint of its own: they share one sync, and one that is refused undoes itself alone. When that transaction
cannot be ended, as on a full disk, each is tried again by itself. A write has returned when it is on the disk.
"""

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

import apsw

from memory import keys
from memory.errors import Full
from memory.store import Reader, Store

T = TypeVar("T")

OPEN_MOST: Final = 24
"""Files that are open at once, as long as not more are in use."""

WRITERS: Final = 2
READERS: Final = 4
TOGETHER: Final = 256
"""Threads that write and that read, and writes that share one sync."""

SWEEP_MICROS: Final = 600_000_000
"""Between two looks for values that have expired."""

CACHE_MOST: Final = 96 << 20
"""Bytes of pages that SQLite keeps, over all files."""

Work = Callable[[Store], object]


class Job:
    """One write that waits. frees: it makes room, and so may go a little beyond the quota."""

    __slots__ = ("frees", "result", "work")

    def __init__(self, work: Work, result: "asyncio.Future[object]", *, frees: bool) -> None:
        self.work, self.result, self.frees = work, result, frees


class File:
    """One memory file. users: calls that are at it; barred: set while nobody may come to it; lock: for opening."""

    __slots__ = ("barred", "idle", "is_written", "jobs", "lock", "path", "quota", "readers", "store", "swept", "users")

    def __init__(self, path: Path, quota: int) -> None:
        self.path, self.quota = path, quota
        self.store: Store | None = None
        self.readers: list[Reader] = []
        self.jobs: deque[Job] = deque()
        self.is_written = False
        self.users = self.swept = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.barred: asyncio.Event | None = None
        self.lock = threading.Lock()

    def opened(self, now: Callable[[], int]) -> Store:
        """The writing connection, opened by whoever comes first."""
        with self.lock:
            if self.store is None:
                self.path.parent.mkdir(mode=0o700, exist_ok=True)
                self.store = Store(self.path, now=now)
            return self.store

    def limit(self, *, frees: bool) -> None:
        """Let SQLite itself keep to the quota; what makes room may take some pages on the way."""
        assert self.store is not None
        most = self.quota + (self.quota // 4 if frees else 0)
        self.store.connection.pragma("max_page_count", max(1, most // 4096))

    def close(self) -> None:
        """Close every connection; what lies in the write-ahead log goes into the file."""
        with self.lock:
            for reader in self.readers:
                reader.close()
            self.readers.clear()
            if self.store is not None:
                self.store.close()
                self.store = None


class Shelf:
    """All memory files below a folder. now: the clock in microseconds; quota: bytes of one file, which may change."""

    def __init__(self, folder: Path, *, now: Callable[[], int], quota: int, open_most: int = OPEN_MOST) -> None:
        self._folder, self._now, self._open_most = folder, now, open_most
        self.quota = quota
        self._files: OrderedDict[str, File] = OrderedDict()
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._nothing = threading.local()
        apsw.soft_heap_limit(CACHE_MOST)

    def path_of(self, owner: str) -> Path:
        """The file of an owner, `own/ID` or `shared/NAME`."""
        return self._folder / f"{owner}.db"

    async def read(self, owner: str, work: Callable[[Reader | Store], T]) -> T:
        """What the work answers from what was committed when it began. An owner without a file has an empty memory."""
        file = await self._enter(owner)
        try:
            return await asyncio.shield(asyncio.wrap_future(self._readers.submit(self._read, file, work)))
        finally:
            self._leave(file)

    async def write(self, owner: str, work: Callable[[Store], T], *, frees: bool = False) -> T:
        """What the work answers, once it is on the disk. It may be run again, so it does nothing but write there."""
        file = await self._enter(owner)
        result: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        result.add_done_callback(lambda _: self._leave(file))
        file.jobs.append(Job(work, result, frees=frees))
        self._go_on(file)
        return cast(T, await asyncio.shield(result))  # what the work answered went through the job as an object

    async def alone(self, owner: str, work: Callable[[Path], T]) -> T:
        """Run a work on an owner's file while it is closed, and nobody else comes to it."""
        file = await self._enter(owner)
        self._leave(file)
        await self._close(file)
        assert file.barred is not None
        try:
            return await asyncio.shield(asyncio.wrap_future(self._writers.submit(work, file.path)))
        finally:
            self._unbar(file)

    async def close(self) -> None:
        """End what goes on, and close every file."""
        for file in list(self._files.values()):
            await self._close(file)
        self._writers.shutdown(wait=True)
        self._readers.shutdown(wait=True)

    # who is at which file ----------------------------------------------------------------------------------------------

    async def _enter(self, owner: str) -> File:
        file = self._files.get(owner)
        if file is None:
            file = self._files[owner] = File(self.path_of(owner), self.quota)
        while file.barred is not None:
            await file.barred.wait()
        file.users += 1
        file.idle.clear()
        file.quota = self.quota
        self._files.move_to_end(owner)
        self._close_the_oldest()
        return file

    def _leave(self, file: File) -> None:
        file.users -= 1
        if not file.users:
            file.idle.set()

    def _close_the_oldest(self) -> None:
        """Let go of files that nobody is at, the longest unused first, while more are open than may be."""
        spare = [owner for owner, file in self._files.items() if not file.users and file.barred is None]
        for owner in spare[: max(0, len(self._files) - self._open_most)]:
            file = self._files[owner]
            file.barred = asyncio.Event()
            closing = asyncio.wrap_future(self._writers.submit(file.close))
            closing.add_done_callback(partial(self._closed, owner, file))

    def _closed(self, owner: str, file: File, done: "asyncio.Future[None]") -> None:
        done.exception()  # one that cannot be closed is opened anew all the same
        if not file.users:
            self._files.pop(owner, None)
        self._unbar(file)

    async def _close(self, file: File) -> None:
        """Bar a file, wait until everybody is gone, and close it."""
        while file.barred is not None:
            await file.barred.wait()
        file.barred = asyncio.Event()
        await file.idle.wait()
        await asyncio.wrap_future(self._writers.submit(file.close))

    def _unbar(self, file: File) -> None:
        if file.barred is not None:
            file.barred.set()
            file.barred = None

    # in threads ----------------------------------------------------------------------------------------------------------

    def _read(self, file: File, work: Callable[[Reader | Store], T]) -> T:
        reader = self._reader(file)
        if reader is None:
            return work(self._empty())
        try:
            return work(reader)
        finally:
            with file.lock:
                file.readers.append(reader)

    def _reader(self, file: File) -> Reader | None:
        """A reading connection of the file's, None when there is no file: nothing is made for who only asks."""
        with file.lock:
            if file.readers:
                return file.readers.pop()
            if file.store is None and not file.path.exists():
                return None
        return file.opened(self._now).reader()

    def _empty(self) -> Store:
        """A memory that holds nothing, for this thread: what is absent there is absent in the same words."""
        found: Store | None = getattr(self._nothing, "store", None)
        if found is None:
            found = self._nothing.store = Store(Path(":memory:"), now=self._now)
        return found

    def _go_on(self, file: File) -> None:
        """Let a thread make the writes that wait, unless one is at it."""
        if file.is_written or not file.jobs:
            return
        file.is_written = True
        jobs = [file.jobs.popleft() for _ in range(min(TOGETHER, len(file.jobs)))]
        made = asyncio.wrap_future(self._writers.submit(self._make, file, jobs))
        made.add_done_callback(lambda done: self._made(file, jobs, done))

    def _made(self, file: File, jobs: list[Job], done: "asyncio.Future[list[object]]") -> None:
        file.is_written = False
        failed = done.exception()
        outcomes = [failed] * len(jobs) if failed is not None else done.result()
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.result.done():
                continue
            if isinstance(outcome, BaseException):
                job.result.set_exception(outcome)
            else:
                job.result.set_result(outcome)
        self._go_on(file)

    def _make(self, file: File, jobs: list[Job]) -> list[object]:
        """What each write answered or raised, all of them on the disk."""
        store = file.opened(self._now)
        outcomes = _together(store, file, jobs) if len(jobs) > 1 else None
        if outcomes is None:
            outcomes = [_alone(store, file, job) for job in jobs]
        if self._now() - file.swept > SWEEP_MICROS:
            file.swept = self._now()
            _sweep(store)
        return outcomes


def _together(store: Store, file: File, jobs: list[Job]) -> list[object] | None:
    """All writes in one transaction; None when that could not be ended, and so none of them was made."""
    outcomes: list[object] = []
    try:
        with store.write():
            for job in jobs:
                outcomes.append(_one(store, file, job))
                if not store.connection.in_transaction:  # SQLite has given up all of it: the disk is full
                    return None
    except (Full, apsw.Error):
        return None
    return outcomes


def _alone(store: Store, file: File, job: Job) -> object:
    return _one(store, file, job)


def _one(store: Store, file: File, job: Job) -> object:
    """What a write answered, or what it raised: then nothing of it was made."""
    file.limit(frees=job.frees)
    try:
        with store.write():
            return job.work(store)
    except Full as error:
        return _whose_fault(file, error)
    except Exception as error:  # noqa: BLE001 - it is its caller's
        return error


def _whose_fault(file: File, error: Full) -> Full:
    assert file.store is not None
    pages = file.store.connection.pragma("page_count")
    if isinstance(pages, int) and (pages + 64) * 4096 >= file.quota:
        mend = "delete something, or ask the operator for more: `maniple settings memory quota=...`"
        return Full(f"the quota of this memory, {file.quota} bytes, is used up: {mend}")
    return error


def _sweep(store: Store) -> None:
    try:
        keys.sweep(store)
    except Full:
        pass  # what has expired is not seen; its room is had back later
