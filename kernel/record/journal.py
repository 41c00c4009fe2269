"""Tapes on disk: one file for each task run, written by the log's thread before the entries that need it (acts).

journal/runs/RUN.tape holds records as wire/tape.py writes them. put() is the main thread's and waits for nothing; store()
is the log's thread's, and brings all that was put to disk before it writes the entries that were appended meanwhile.
What a crash left behind the last record, or what the log does not vouch for any more, cut() leaves out at the next start.
"""

import errno
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from kernel.record.growing import Syncing, sync_folder
from wire.errors import TapeDamaged
from wire.tape import Began, Placed, Record, Spilled, ends_done, key_of, read, write

RESERVE: Final = 8 * 1024 * 1024
LAST: Final = RESERVE // 2
"""Bytes kept allocated in a file of their own, for tapes on a full disk; and how many of them are left to what may be done
then at all, the operator's calls and refusals."""

_PIECE: Final = 128 * 1024

Taken = list[tuple[int, Record | Spilled]]


class TapeFile:
    """One run's tape. secret: the key of its run's digests. end, check: where what is on disk ends.

    put_far, stored_far: bytes of bodies that leave memory once they are on disk, the one counted by the main thread.
    """

    def __init__(self, path: Path, secret: bytes) -> None:
        self.path, self.key = path, key_of(secret)
        self.end, self.check = 0, b""
        self.put_far = self.stored_far = 0

    def records(self) -> Iterator[Placed]:
        """What is on disk up to `end`, in order. Raises TapeDamaged, and OSError when it cannot be read."""
        with open(self.path, "rb") as file:
            for placed in read(file.read, self.key) if self.end else ():
                yield placed
                if placed.end >= self.end:
                    return

    def body_of(self, spilled: Spilled) -> bytes:
        """The body of a message that is to be told now. Raises TapeDamaged, and OSError when it cannot be read."""
        if (body := spilled.body) is not None:  # the log's thread takes it away
            return body
        with open(self.path, "rb") as file:
            file.seek(spilled.at)
            return spilled.read(file.read, self.key)

    def cut(self, entries: int) -> Iterator[Placed]:
        """The records that a log of so many entries vouches for; what is behind them, or cannot be read, is left out.

        Whether something is missing then that it vouches for, its reader sees: a tape tells how many entries it needs.
        If nothing is, he calls settle(); until then all is there still, for whoever looks into it.
        """
        self.end, self.check = 0, b""
        with open(self.path, "rb") as file:
            try:
                for placed in read(file.read, self.key):
                    if placed.needs > entries:
                        break
                    self.end, self.check = placed.end, placed.check
                    yield placed
            except TapeDamaged:
                pass

    def settle(self) -> None:
        """Take away for good what cut() left out: else it would count again when the log has grown."""
        with open(self.path, "r+b") as file:
            file.truncate(self.end)
            os.fsync(file.fileno())

    def begin(self, records: Taken) -> "Begun":
        """Write records, which count when the file was synced; else write the same again. Raises OSError."""
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
        return Begun(tape=self, file=file, end=at, check=check)


class Begun(NamedTuple):
    """What was written of a tape, into an open file. end, check: of the tape when it is on disk."""

    tape: TapeFile
    file: int
    end: int
    check: bytes

    def counts(self) -> None:
        """It is on disk."""
        self.tape.end, self.tape.check = self.end, self.check


class Journal:
    """All tapes that are being written. folder: the home's `journal`.

    room: bytes of the reserve, which store() gives to a tape that finds none elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "runs"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keys = folder / "keys" / "000000.jsonl"
        self._lock = Lock()  # over what is to be erased
        self._given = self._stored = 0  # bytes of bodies, the one counted by the main thread, the other by the log's
        self.spare = os.open(folder / "reserve", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.room = os.fstat(self.spare).st_size
        self._syncing = Syncing()
        self._erased: list[str] = []
        self._going: list[str] = []  # those of them that store() is to erase
        self._put: deque[tuple[TapeFile, int, Record | Callable[[], Record]]] = deque()
        self._taken: dict[TapeFile, Taken] = {}

    def tape(self, run: str, secret: bytes) -> TapeFile:
        """A run's tape, new or as it is on disk."""
        return TapeFile(self.folder / f"{run}.tape", secret)

    def secret(self, run: str) -> bytes:
        """The key of a run's digests. Raises TapeDamaged when it was erased, or is not there."""
        content, name = self._keys.read_bytes(), _until_key(run)
        at = content.rfind(name) + len(name)
        try:
            if at >= len(name) and (key := bytes.fromhex(content[at : at + 64].decode())).strip(b"\0"):
                return key
        except ValueError:
            pass  # as for one of zeros
        raise TapeDamaged(0, "its key was erased, or is not there")

    def erase(self, run: str) -> None:
        """Have a run's tape and key erased, on disk before any entry that is appended later."""
        with self._lock:
            self._given += 1
            self._erased.append(run)

    def put(self, tape: TapeFile, record: Record, needs: int) -> None:
        """Add a record, for the log's next flush(). needs: entries that the log must have for it to count."""
        self._given += _size(record)
        self._put.append((tape, needs, record))

    def put_made(self, tape: TapeFile, record: Callable[[], Record], body: bytes | None, needs: int) -> None:
        """As put(), of a record that the log's thread makes, with this body.

        None: one that keeps none is made at once. What it is made of may be large, and would wait for the disk uncounted.
        """
        self._given += 64 + len(body or b"")
        self._put.append((tape, needs, record() if body is None else record))

    def take(self) -> None:
        """What was put until now is what store() writes. Called when entries were taken, so that it has all they need."""
        self._going = self._erased[:]  # first: nothing is put of a run that is to be erased
        for _ in range(len(self._put)):
            tape, needs, record = self._put.popleft()
            made = record() if callable(record) and not isinstance(record, Spilled) else record
            self._taken.setdefault(tape, []).append((needs, made))

    @property
    def behind(self) -> int:
        """Bytes of bodies that are not on disk."""
        return self._given - self._stored

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to write."""
        return self._given == self._stored

    def reserve(self) -> None:
        """Fill the reserve up, piece by piece. Raises OSError when only some of it could be had."""
        while self.room < RESERVE:
            os.posix_fallocate(self.spare, self.room, _PIECE)
            self.room += _PIECE

    def _give(self, size: int) -> bool:
        """Let a tape have so much of the reserve, in pieces; whether there is as much."""
        if self.room < size:
            return False
        self.room -= -(-size // _PIECE) * _PIECE
        os.ftruncate(self.spare, self.room)
        os.fsync(self.spare)  # some file systems give out again only what a commit has freed
        return True

    def store(self) -> None:
        """Write and erase what was taken. Raises OSError; what was done by then is not done again."""
        with suppress(FileExistsError):  # as it does, unless somebody took it away with all that lay in it
            os.mkdir(self.folder, 0o700)
            sys.stderr.write("journal/runs was not there any more, and what runs were told is lost: it was made anew\n")
        if gone := self._going:
            self._erase(gone)
            with self._lock:
                del self._erased[: len(gone)]
            self._stored += len(gone)
            for tape in [tape for tape in self._taken if tape.path.stem in gone]:
                self._stored += sum(_size(record) for _, record in self._taken.pop(tape))
            self._going = []
        while self._taken:
            try:
                self._write()
            except OSError as error:
                size = sum(_size(record) for records in self._taken.values() for _, record in records)
                if error.errno != errno.ENOSPC or not self._give(size):
                    raise

    def _write(self) -> None:
        """What was taken of all tapes at once, since a file system brings several to disk as quickly as one."""
        begun = list[Begun]()
        try:
            for tape, records in self._taken.items():
                begun.append(tape.begin(records))
            self._syncing.sync([batch.file for batch in begun])
            if any(batch.tape.end == 0 for batch in begun):
                sync_folder(self.folder)
        finally:
            for batch in begun:
                os.close(batch.file)
        for batch in begun:
            batch.counts()
            for _, record in self._taken.pop(batch.tape):
                self._stored += _size(record)
                if isinstance(record, Spilled):
                    batch.tape.stored_far += len(record.body or b"")
                    record.body = None

    def _erase(self, runs: list[str]) -> None:
        """Overwrite the digits of their keys in place, and remove their tapes."""
        zeros = b"0" * 64
        with open(self._keys, "r+b") as file:
            content = file.read()
            for name in map(_until_key, runs):
                at = content.find(name) + len(name)
                if at >= len(name) and len(content) >= at + len(zeros):
                    os.pwrite(file.fileno(), zeros, at)
            os.fdatasync(file.fileno())
        for run in runs:
            (self.folder / f"{run}.tape").unlink(missing_ok=True)
        sync_folder(self.folder)


def _until_key(run: str) -> bytes:
    """What stands before a run's key, on its line."""
    return f'{{"run":"{run}","key":"'.encode()


def ended_done(path: str) -> bool:
    """Whether the work of a tape's run ended in `done`, by its last record, which is not checked; not, when none tells."""
    try:
        with open(path, "rb") as file:
            return ends_done(file.read, file.seek)
    except OSError:
        return False


def _size(record: Record | Spilled) -> int:
    return 64 + len(record.inputs if isinstance(record, Began) else getattr(record, "body", b"") or b"")
