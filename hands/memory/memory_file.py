"""One memory file as the Hand's threads use it (acts): written by one at a time, read by several.

Writes that wait for each other are made in one transaction, each in a savepoint of its own: they share one sync, and one
that is refused undoes itself alone. When that transaction cannot be ended, as on a full disk, each is tried by itself.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import apsw

from memory import keys
from memory.errors import Full, StoreError
from memory.store import Reader, Store, reader_without_room

T = TypeVar("T")

SWEEP_MICROS: Final = 600_000_000
"""Between two looks for values that have expired."""

READERS_KEPT: Final = 2
"""Reading connections that a file keeps open for the next."""

NEARLY: Final = 1 << 18
"""Bytes below the quota from which a write that finds no room is told of the quota, and not of the disk."""


TOGETHER_S: Final = 0.1
"""Seconds after which no further write joins those that are made together: others wait for a turn of theirs."""


class Job:
    """One write that waits. frees: it makes room, and so may go a little beyond the quota. is_long: it writes much."""

    __slots__ = ("frees", "is_long", "result", "work")

    def __init__(
        self, work: Callable[[Store], object], result: "asyncio.Future[object]", *, frees: bool, is_long: bool = False
    ) -> None:
        self.work, self.result, self.frees, self.is_long = work, result, frees, is_long


class MemoryFile:
    """A file, which is opened when it is first used. quota: the most bytes that it may have, which may change.
    until: the time by which expired values are deleted.

    A file that a write made which then failed is removed again: at once, or when it is closed if somebody reads it meanwhile.
    For the loop alone: jobs, the writes that wait; is_written: some are being made; users: calls that are at it; idle:
    there are none; barred: set while nobody may come to it.
    """

    def __init__(self, owner: str, path: Path, now: Callable[[], int], quota: int, until: Callable[[], int]) -> None:
        self.owner, self.path, self.now, self.quota, self.until = owner, path, now, quota, until
        self.jobs: deque[Job] = deque()
        self.is_written = False
        self.users = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.barred: asyncio.Event | None = None
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._readers: list[Reader] = []
        self._reading = 0
        self._is_bare = False  # made here, and nothing was written in it yet
        self._swept = 0

    def read(self, work: Callable[[Reader], T], empty: Callable[[], Store]) -> T:
        """What a work answers from what was committed when it began.

        empty: what is read where there is no file: nothing is made for who only asks, and what is absent there is absent in
        the same words.
        """
        try:
            reader = self._reader()
        except Full:
            return self._read_without_room(work)
        if reader is None:
            return work(empty())
        try:
            with reader.moment():
                return work(reader)
        finally:
            with self._lock:
                self._reading -= 1
                if len(self._readers) < READERS_KEPT:
                    self._readers.append(reader)
                else:
                    reader.close()

    def write(self, jobs: Sequence[Job]) -> list[object]:
        """What each write answered or raised, all of it on the disk; of the first ones, where they take long."""
        store = self._opened()
        outcomes = self._together(store, jobs) if len(jobs) > 1 else None
        if outcomes is None:
            outcomes = [self._attempt(store, job) for job in _for_a_while(jobs)]
        if self._is_bare and all(isinstance(one, Exception) for one in outcomes):
            self._close_unread()
            return outcomes
        self._is_bare = False
        if not 0 <= self.now() - self._swept <= SWEEP_MICROS:
            self._swept = self.now()
            _sweep(store, self.until())
        return outcomes

    def close(self) -> None:
        """Close every connection; what lies in the write-ahead log goes into the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._is_bare:
            self._is_bare = False
            remove(self.path)

    def _close_unread(self) -> None:
        """Close every connection, unless somebody reads now."""
        with self._lock:
            if not self._reading:
                self._close()

    def _opened(self) -> Store:
        """The writing connection, opened by whoever comes first."""
        with self._lock:
            if self._store is None:
                make_folder(self.path.parent)
                is_new = not self.path.exists()
                try:
                    self._store = Store(self.path, now=self.now)
                except BaseException:
                    if is_new:
                        remove(self.path)
                    raise
                self._is_bare = is_new
            return self._store

    def _reader(self) -> Reader | None:
        """A reading connection, None when there is no file."""
        with self._lock:
            if self._store is None and not self.path.exists():
                return None
            self._reading += 1
            if self._readers:
                return self._readers.pop()
        try:
            return self._opened().reader()
        except BaseException:
            with self._lock:
                self._reading -= 1
            raise

    def _read_without_room(self, work: Callable[[Reader], T]) -> T:
        """Where a file cannot be opened for writing, as on a full disk, it is read by one at a time."""
        with self._lock:
            reader = reader_without_room(self.path, self.now)
            try:
                return work(reader)
            finally:
                with contextlib.suppress(apsw.Error):
                    reader.close()

    def _together(self, store: Store, jobs: Sequence[Job]) -> list[object] | None:
        """All writes in one transaction; None when that could not be ended, and so none of them was made."""
        outcomes: list[object] = []
        try:
            with store.write():
                for job in _for_a_while(jobs):
                    outcomes.append(self._attempt(store, job))
                    if not store.connection.in_transaction:  # SQLite has given up all of it
                        return None
        except (Full, apsw.Error):
            return None
        return outcomes

    def _attempt(self, store: Store, job: Job) -> object:
        """What a write answered, or what it raised: then nothing of it was made."""
        most = most_of(self.quota) if job.frees else self.quota
        store.connection.pragma("max_page_count", max(1, most // _page(store)))
        try:
            with store.write():
                return job.work(store)
        except Full as error:
            return self._what_is_full(store, error)
        except Exception as error:  # noqa: BLE001 - it is its caller's
            return error

    def _what_is_full(self, store: Store, error: Full) -> Full:
        pages = store.connection.pragma("page_count")
        if isinstance(pages, int) and pages * _page(store) + NEARLY >= self.quota:
            mend = "delete something, or ask the operator for more: `maniple settings memory quota=...`"
            return Full(f"the quota of this memory, {self.quota} bytes, is used up: {mend}")
        return error


def _for_a_while(jobs: Sequence[Job]) -> Iterator[Job]:
    """One after the other, as long as they have not taken long."""
    until = time.monotonic() + TOGETHER_S
    for number, job in enumerate(jobs):
        if number and time.monotonic() > until:
            return
        yield job


def most_of(quota: int) -> int:
    """Bytes of a file that makes room, or that was such a file's copy: a little beyond the quota."""
    return quota + quota // 4


def _page(store: Store) -> int:
    """Bytes of a page: a copy that was restored may have others than we make."""
    return int(str(store.connection.pragma("page_size")))


def make_folder(folder: Path) -> None:
    """Make the folder of memory files, so that it survives a power cut; it may be there. Raises Full."""
    if folder.exists():
        return
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
    except OSError as error:
        raise Full(f"the disk refuses: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Let a new entry of a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(target: Path) -> None:
    """Delete a file that nobody has open, with its logs. It goes first: without it they are nothing, and it would be less
    without them.
    """
    target.unlink(missing_ok=True)
    remove_logs(target)
    if target.parent.exists():
        sync_folder(target.parent)


def take_in_log(target: Path) -> None:
    """Let a file that nobody has open hold what a killed Hand left in its log; one that cannot be read stays as it is."""
    if target.exists():
        with contextlib.suppress(apsw.Error):
            connection = apsw.Connection(str(target))
            try:
                connection.pragma("schema_version")  # the log is opened by who reads
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            finally:
                connection.close()


def remove_logs(target: Path) -> None:
    """Delete what SQLite keeps beside a file that nobody has open."""
    for one in (Path(f"{target}-wal"), Path(f"{target}-shm")):
        one.unlink(missing_ok=True)


def _sweep(store: Store, until: int) -> None:
    try:
        keys.sweep(store, until)
    except StoreError:
        pass  # what has expired is not seen, its room is had back later, and what was written before is written
