"""Tapes on disk: one file for each task run, written by the log's thread before the entries that need it (acts).

journal/runs/RUN.tape holds records as wire/tape.py writes them. put() is called by the main thread and waits for nothing;
store() by the log's thread, which brings the records to disk before the entries that were appended after them. At the next
start, vouched_records() leaves out torn bytes at the end, and records that the log lacks the entries for.
"""

import errno
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from kernel.record.growing import Syncing, sync_folder
from wire.errors import TapeDamaged
from wire.tape import Began, Placed, Record, Spilled, ends_done, key_of, read, write

RESERVE: Final = 8 * 1024 * 1024
LAST: Final = RESERVE // 2
"""Bytes kept allocated in a file of their own, for tapes on a full disk; and how many of these are left for the operator's
calls and for refusals."""

_PIECE: Final = 128 * 1024

Taken = list[tuple[int, Record | Spilled]]


class TapeFile:
    """One run's tape. secret: the key of its run's digests. end, check: the last record on disk: its end, and its check.

    spilled: bytes of bodies that leave memory once they are on disk, counted by the main thread when they are put; stored:
    those of them that are on disk, counted by the log's thread.
    """

    def __init__(self, path: Path, secret: bytes) -> None:
        self.path, self.key = path, key_of(secret)
        self.end, self.check = 0, b""
        self.spilled = self.stored = 0

    def records(self) -> Iterator[Placed]:
        """Read the records on disk up to `end`, in order. Raises TapeDamaged, and OSError if the file cannot be read."""
        with open(self.path, "rb") as file:
            for placed in read(file.read, self.key) if self.end else ():
                yield placed
                if placed.end >= self.end:
                    return

    def body_of(self, spilled: Spilled) -> bytes:
        """Return the body of a message that is to be sent now. Raises TapeDamaged, and OSError if it cannot be read."""
        if (body := spilled.body) is not None:  # read it once: the log's thread sets it to None
            return body
        with open(self.path, "rb") as file:
            file.seek(spilled.at)
            return spilled.read(file.read, self.key)

    def vouched_records(self, entries: int) -> Iterator[Placed]:
        """Yield the records that a log of this many entries vouches for, and set `end` behind them. Stops at one that does
        not verify.

        Each record says how many entries it needs, so the caller can tell whether one is missing that the log vouches for.
        If none is, it calls truncate(); until then the file is unchanged and can be examined.
        """
        self.end, self.check = 0, b""
        with open(self.path, "rb") as file, suppress(TapeDamaged):
            for placed in read(file.read, self.key):
                if placed.needs > entries:
                    break
                self.end, self.check = placed.end, placed.check
                yield placed

    def truncate(self) -> None:
        """Truncate the file to what vouched_records() yielded: or the rest would count again when the log has grown."""
        with open(self.path, "r+b") as file:
            file.truncate(self.end)
            os.fsync(file.fileno())

    def write_batch(self, records: Taken) -> "Batch":
        """Write records without syncing them. They count once the batch is marked durable; after an OSError, write the same
        again.
        """
        check, at, parts = self.check, self.end, bytearray()
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for number, (needs, record) in enumerate(records, 1):
                if isinstance(record, Spilled):
                    record.at, record.before = at + len(parts), check
                raw, check = write(record() if isinstance(record, Spilled) else record, needs, self.key, check)
                parts += raw
                while len(parts) > _PIECE or (parts and number == len(records)):
                    count = os.pwrite(file, parts, at)
                    at += count
                    del parts[:count]
        except OSError:
            os.close(file)
            raise
        return Batch(tape=self, file=file, end=at, check=check)


class Batch(NamedTuple):
    """Records of one tape that were written into an open file. end, check: the tape's, once they are on disk."""

    tape: TapeFile
    file: int
    end: int
    check: bytes

    def mark_durable(self) -> None:
        """Note on the tape that the batch is on disk."""
        self.tape.end, self.tape.check = self.end, self.check


class Journal:
    """All tapes that are being written. folder: the home's `journal`.

    room: bytes of the reserve, which store() frees for tapes when the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "runs"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keys = folder / "keys" / "000000.jsonl"
        self._lock = Lock()  # over what is to be erased
        self._bytes_put = self._bytes_stored = 0  # of bodies; counted by the main thread, and by the log's
        self.spare = os.open(folder / "reserve", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.room = os.fstat(self.spare).st_size
        self._syncing = Syncing()
        self._erased: list[str] = []
        self._erasing: list[str] = []  # those of _erased that the next store() erases
        self._put: deque[tuple[TapeFile, int, Record | Callable[[], Record]]] = deque()
        self._taken: dict[TapeFile, Taken] = {}

    def tape(self, run: str, secret: bytes) -> TapeFile:
        """Return a run's tape, with nothing read yet."""
        return TapeFile(self.folder / f"{run}.tape", secret)

    def secret(self, run: str) -> bytes:
        """Read the key of a run's digests. Raises TapeDamaged if it was erased, or is missing."""
        content, name = self._keys.read_bytes(), _key_prefix(run)
        at = content.rfind(name) + len(name)
        with suppress(ValueError):  # no hexadecimal digits: as an erased key, which is zeros
            if at >= len(name) and (key := bytes.fromhex(content[at : at + 64].decode())).strip(b"\0"):
                return key
        raise TapeDamaged(0, "its key was erased, or is missing")

    def erase(self, run: str) -> None:
        """Queue a run's tape and key to be erased, on disk before any entry that is appended later."""
        with self._lock:
            self._bytes_put += 1
            self._erased.append(run)

    def put(self, tape: TapeFile, record: Record, needs: int) -> None:
        """Queue a record, for the log's next flush(). needs: how many entries the log must have for the record to count."""
        self._bytes_put += _size(record)
        self._put.append((tape, needs, record))

    def put_lazy(self, tape: TapeFile, record: Callable[[], Record], body: bytes | None, needs: int) -> None:
        """Queue a record that the log's thread makes, with this body; otherwise as put().

        A record that keeps no body (None) is made at once: what it is made from may be large, and would wait uncounted.
        """
        self._bytes_put += 64 + len(body or b"")
        self._put.append((tape, needs, record() if body is None else record))

    def take_queued(self) -> None:
        """Take all that was put until now for the next store(). Called after entries were taken, so that it covers them."""
        self._erasing = self._erased[:]  # first: no record is put for a run that is to be erased
        for _ in range(len(self._put)):
            tape, needs, record = self._put.popleft()
            made = record() if callable(record) and not isinstance(record, Spilled) else record
            self._taken.setdefault(tape, []).append((needs, made))

    @property
    def behind(self) -> int:
        """Bytes that are not on disk yet; 0 if there is nothing to write."""
        return self._bytes_put - self._bytes_stored

    def reserve(self) -> None:
        """Fill the reserve up, piece by piece. Raises OSError if not all of it could be allocated."""
        while self.room < RESERVE:
            os.posix_fallocate(self.spare, self.room, _PIECE)
            self.room += _PIECE

    def _free_reserve(self, size: int) -> bool:
        """Free `size` bytes of the reserve for tapes, in whole pieces. Returns False if the reserve has fewer."""
        if self.room < size:
            return False
        self.room -= -(-size // _PIECE) * _PIECE
        os.ftruncate(self.spare, self.room)
        os.fsync(self.spare)  # some file systems reuse freed blocks only after a commit
        return True

    def store(self) -> None:
        """Erase and write what was taken. Raises OSError; call it again, and what was done by then is not repeated."""
        with suppress(FileExistsError):  # the usual case; otherwise somebody removed the folder with all tapes in it
            os.mkdir(self.folder, 0o700)
            sys.stderr.write("journal/runs was missing, and with it the tapes of all runs: an empty one was made\n")
        if erased := self._erasing:
            self._erase(erased)
            with self._lock:
                del self._erased[: len(erased)]
            self._bytes_stored += len(erased)
            for tape in [tape for tape in self._taken if tape.path.stem in erased]:
                self._bytes_stored += sum(_size(record) for _, record in self._taken.pop(tape))
            self._erasing = []
        while self._taken:
            try:
                self._write()
            except OSError as error:
                size = sum(_size(record) for records in self._taken.values() for _, record in records)
                if error.errno != errno.ENOSPC or not self._free_reserve(size):
                    raise

    def _write(self) -> None:
        """Write the taken records of all tapes, and sync them together: that takes as long as syncing one."""
        batches = list[Batch]()
        try:
            for tape, records in self._taken.items():
                batches.append(tape.write_batch(records))
            self._syncing.sync([batch.file for batch in batches])
            if any(batch.tape.end == 0 for batch in batches):
                sync_folder(self.folder)
        finally:
            for batch in batches:
                os.close(batch.file)
        for batch in batches:
            batch.mark_durable()
            for _, record in self._taken.pop(batch.tape):
                self._bytes_stored += _size(record)
                if isinstance(record, Spilled):
                    batch.tape.stored += len(record.body or b"")
                    record.body = None

    def _erase(self, runs: list[str]) -> None:
        """Overwrite the digits of these runs' keys in place, and remove their tapes."""
        zeros = b"0" * 64
        with open(self._keys, "r+b") as file:
            content = file.read()
            for name in map(_key_prefix, runs):
                at = content.find(name) + len(name)
                if at >= len(name) and len(content) >= at + len(zeros):
                    os.pwrite(file.fileno(), zeros, at)
            os.fdatasync(file.fileno())
        for run in runs:
            (self.folder / f"{run}.tape").unlink(missing_ok=True)
        sync_folder(self.folder)


def _key_prefix(run: str) -> bytes:
    """Return the start of the line that holds a run's key, up to the key."""
    return f'{{"run":"{run}","key":"'.encode()


def ended_in_done(path: str) -> Generator[None, None, bool]:
    """Return whether a tape's last record, which is not verified, says that its run's work ended in `done`; in steps."""
    with suppress(OSError), open(path, "rb") as file:
        return (yield from ends_done(file.read, file.seek))
    return False


def _size(record: Record | Spilled) -> int:
    return 64 + len(record.inputs if isinstance(record, Began) else getattr(record, "body", b"") or b"")
