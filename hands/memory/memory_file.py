"""One memory file as the Hand's threads use it (acts): one writer at a time, several readers.

Waiting writes are made in one transaction, each in its own savepoint: they share one sync, and a refused one undoes only
itself. If that transaction cannot be committed, as on a full disk, each write is tried by itself.
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
"""Microseconds between two removals of expired values."""

READERS_KEPT: Final = 2
"""Idle reading connections that a file keeps open."""

NEARLY: Final = 1 << 18
"""A write that finds no room within so many bytes of the quota blames the quota, not the disk."""


TOGETHER_S: Final = 0.1
"""Seconds after which no further write joins a batch: other owners are waiting."""


class Job:
    """A waiting write. frees: it makes room, and so may go a little beyond the quota. is_long: it writes much."""

    __slots__ = ("frees", "is_long", "result", "work")

    def __init__(
        self, work: Callable[[Store], object], result: "asyncio.Future[object]", *, frees: bool, is_long: bool = False
    ) -> None:
        self.work, self.result, self.frees, self.is_long = work, result, frees, is_long


class MemoryFile:
    """A file, opened when first used. quota: most bytes that it may have; may change. until: expired values are deleted if
    they expired before this time.

    If a write created the file and then failed, the file is removed: at once, or when it is closed if somebody reads it.
    For the loop only: jobs, the waiting writes; is_written: a batch is being written; users: calls that use it; idle: set
    while there are none; barred: set to an event while nobody may enter.
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
        self._is_bare = False  # created here, and nothing was written to it yet
        self._swept = 0

    def read(self, work: Callable[[Reader], T], empty: Callable[[], Store]) -> T:
        """Runs `work` on what is committed when it begins.

        empty: makes the store that is read if there is no file, so that a read creates none, and what is absent there is
        reported in the same words.
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
        """Makes the writes, or only the first if they take long. Returns what each returned or raised, all on disk."""
        store = self._open_store()
        outcomes = self._write_batch(store, jobs) if len(jobs) > 1 else None
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
        """Closes every connection and merges the write-ahead log."""
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
        """Closes every connection, unless somebody is reading."""
        with self._lock:
            if not self._reading:
                self._close()

    def _open_store(self) -> Store:
        """The writing connection; the first caller opens it."""
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
        """A reading connection; None if there is no file."""
        with self._lock:
            if self._store is None and not self.path.exists():
                return None
            self._reading += 1
            if self._readers:
                return self._readers.pop()
        try:
            return self._open_store().reader()
        except BaseException:
            with self._lock:
                self._reading -= 1
            raise

    def _read_without_room(self, work: Callable[[Reader], T]) -> T:
        """Reads a file that cannot be opened for writing, as on a full disk; one reader at a time."""
        with self._lock:
            reader = reader_without_room(self.path, self.now)
            try:
                return work(reader)
            finally:
                with contextlib.suppress(apsw.Error):
                    reader.close()

    def _write_batch(self, store: Store, jobs: Sequence[Job]) -> list[object] | None:
        """Makes all writes in one transaction. None if that could not be committed, so none was made."""
        outcomes: list[object] = []
        try:
            with store.write():
                for job in _for_a_while(jobs):
                    outcomes.append(self._attempt(store, job))
                    if not store.connection.in_transaction:  # SQLite rolled all of it back
                        return None
        except (Full, apsw.Error):
            return None
        return outcomes

    def _attempt(self, store: Store, job: Job) -> object:
        """Makes one write. Returns its result, or the error that undid it."""
        most = most_of(self.quota) if job.frees else self.quota
        store.connection.pragma("max_page_count", max(1, most // _page(store)))
        try:
            with store.write():
                return job.work(store)
        except Full as error:
            return self._explain_full(store, error)
        except Exception as error:  # noqa: BLE001 - raised again in the caller
            return error

    def _explain_full(self, store: Store, error: Full) -> Full:
        pages = store.connection.pragma("page_count")
        if isinstance(pages, int) and pages * _page(store) + NEARLY >= self.quota:
            mend = "delete something, or ask the operator for more: `maniple settings memory quota=...`"
            return Full(f"the quota of this memory, {self.quota} bytes, is used up: {mend}")
        return error


def _for_a_while(jobs: Sequence[Job]) -> Iterator[Job]:
    """Yields jobs until TOGETHER_S has passed; at least one."""
    until = time.monotonic() + TOGETHER_S
    for number, job in enumerate(jobs):
        if number and time.monotonic() > until:
            return
        yield job


def most_of(quota: int) -> int:
    """Most bytes of a file while a write makes room, and of a restored copy: a little beyond the quota."""
    return quota + quota // 4


def _page(store: Store) -> int:
    """Bytes of a page; a restored copy may have pages of another size than ours."""
    return int(str(store.connection.pragma("page_size")))


def make_folder(folder: Path) -> None:
    """Makes the folder of memory files if needed, durably. Raises Full."""
    if folder.exists():
        return
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
    except OSError as error:
        raise Full(f"the disk refuses: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Syncs a folder, so that a new entry survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(target: Path) -> None:
    """Deletes a closed file and its logs. The file goes first: without it the logs mean nothing, but it would lose data
    without them.
    """
    target.unlink(missing_ok=True)
    remove_logs(target)
    if target.parent.exists():
        sync_folder(target.parent)


def merge_log(target: Path) -> None:
    """Merges the log that a killed Hand left into a closed file; leaves an unreadable file as it is."""
    if target.exists():
        with contextlib.suppress(apsw.Error):
            connection = apsw.Connection(str(target))
            try:
                connection.pragma("schema_version")  # a read opens the log
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            finally:
                connection.close()


def remove_logs(target: Path) -> None:
    """Deletes SQLite's files beside a closed file."""
    for one in (Path(f"{target}-wal"), Path(f"{target}-shm")):
        one.unlink(missing_ok=True)


def _sweep(store: Store, until: int) -> None:
    try:
        keys.sweep(store, until)
    except StoreError:
        pass  # expired values are invisible anyway and are removed later; the writes before are made
