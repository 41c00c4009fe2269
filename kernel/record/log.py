"""The log's writer: entries go in on the main thread, and a thread of its own brings them to disk in groups (acts).

Separate because it is the kernel's only other thread, but for those that sync tapes for it (growing.py). append() gives an
entry its place and never waits; after() says what to do once an entry is on disk. The thread writes all that is queued in
one go and syncs it once: at once when somebody waits or much of tapes does, LINGER after the first otherwise. So a hundred
waiting calls share one sync, and reads cost few.

What stands where is settled by append(), and lines stay in memory until they are on disk. So a write or sync that
failed is done again with the same bytes at the same place, which also writes anew what the system may drop after a
failed sync; nothing need be cut off, which would give the reserve away.

Below the folder: entries/NNNNNN.jsonl, with RESERVE bytes behind the end (where the file system cannot, a full disk
turns OK into SPENT at once); checkpoint, the newest, never ahead of the disk; checkpoints, one in HISTORY entries, to
narrow down where a log was changed; snapshot, see kernel/record/recovery.py. The keys of bodies' digests lie, each on a line,
in ../journal/keys/000000.jsonl, on disk before later entries; one is erased by overwriting its digits in place. The tapes
of runs, in ../journal/runs (kernel/record/journal.py), are on disk before entries that were appended after their records.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from hashlib import sha256
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final, Literal, Unpack

import msgspec

from kernel.errors import Failure
from kernel.record import journal
from kernel.record.growing import Growing, replace, sync_folder
from kernel.record.recovery import segment_path, segments
from manifests.lives import trouble
from wire.checkpoint import Checkpoint, sign_checkpoint
from wire.entries import Chain, Entry, Said, body_digest, time_text
from wire.ids import KERNEL
from wire.signing import SigningKey
from wire.snapshot import Snapshot, sealed

SEGMENT: Final = 64 * 1024 * 1024
"""Bytes of entries after which they go on in the next file."""

RESERVE: Final = 16 * 1024 * 1024
LAST: Final = 256 * 1024
"""Bytes kept allocated behind the entries, and how many of them only the operator's calls may use: SPENT comes when what
waits for the disk would leave fewer, not only when they are on it."""

KEYS_RESERVE: Final = 1024 * 1024

BEHIND: Final = (8 * 1024 * 1024, 32 * 1024 * 1024, 64 * 1024 * 1024, 96 * 1024 * 1024)
"""Bytes that wait for a slow disk: from the first on FULL, from the second on SPENT, from the third on OVER, which leaves
room for what `freeze` brings about; from the fourth append raises.
"""

LINGER: Final = 0.1
CHECKPOINT_AFTER: Final = 0.75
RETRY: Final = 1.0
"""Seconds: the longest that entries wait for others while nobody waits for them; from the first sync of entries to
their checkpoint; from a failure to the next attempt."""

MUCH: Final = 2 * 1024 * 1024
"""Bytes of tapes that wait no longer: less than those beyond which runs are told no more (tapes.BEHIND_MOST)."""

HISTORY, LARGE = 4096, 16 * 1024
"""Entries between the checkpoints that are kept; bytes of a body that is not put off, to be free of it."""

Part = Literal["arguments", "reply"]


class LogState(IntEnum):
    """OK. FULL: no reserve can be had, effects must be refused. SPENT: only the operator's `kernel.*` may pass. OVER: of
    these only `kernel.freeze`.
    """

    OK = 0
    FULL = 1
    SPENT = 2
    OVER = 3


class Log:
    """The end of the log. Its methods are the main thread's, and none but close() waits for the disk.

    size: entries appended. durable: entries known to be on disk, those with a lower seq. found: how many there were when
    it was opened. journal: the tapes; what is put onto them goes to disk as entries do.
    """

    def __init__(
        self, folder: Path, *, key: SigningKey, origin: str, chain: Chain, wake: int, clock: Callable[[], int]
    ) -> None:
        """Raises OSError when the files cannot be opened.

        chain: where the log ends, as recover() found it just before. clock: microseconds since 1970. wake: a
        non-blocking eventfd, readable when entries came to disk or the state changed: the loop then calls settle().
        """
        self._chain, self._clock, self._wake = chain, clock, wake
        self.durable = self.found = self.size = chain.seq
        self.journal = journal.Journal(folder.parent / "journal")
        self._acts: deque[tuple[int, Callable[[], object]]] = deque()
        self._state, self._why = LogState.OK, ""
        self._lock = threading.Lock()  # over the chain and what is queued
        self._queue, self._keys = list[bytes](), list[bytes]()
        self._off: list[tuple[str, int, Part, tuple[bytes, bytes], Callable[[], Said]]] = []
        self._snapshot: Snapshot | None = None
        self._behind = 0  # bytes of entries that are not on disk
        self._bell = threading.Lock()  # the thread sleeps on it; only the main thread releases it
        self._bell.acquire()
        self._idle = self._urgent = self._closing = False
        # What follows is the thread's own.
        self._folder, self._key, self._origin = folder, key, origin
        self._segment = max(0, len(segments(folder)) - 1)
        self._entries = Growing(segment_path(folder, self._segment), reserve=RESERVE)
        self._keys_file = Growing(folder.parent / "journal" / "keys" / "000000.jsonl", reserve=KEYS_RESERVE)
        self._lines, self._key_lines = list[bytes](), list[bytes]()  # taken from those, not on disk
        self._taken = self._tree = chain.frontier.copy()  # over all that was taken; over what is on disk
        self._placed: Snapshot | None = None
        self._signed = 0 if (folder / "checkpoint").exists() else -1
        self._kept, self._due, self._failed = chain.seq, inf, False
        self._thread = threading.Thread(target=self._serve, name="log", daemon=True)
        self._thread.start()

    @property
    def last(self) -> Entry:
        """What append() added last."""
        return self._chain.last

    @property
    def state(self) -> LogState:
        """What may be asked of the log."""
        if self._state is LogState.OK and self._behind < BEHIND[0]:
            return LogState.OK
        room = min(self._entries.room - self._behind - LAST, self.journal.room - journal.LAST)
        least = LogState(1 + (self._behind >= BEHIND[1] or room < 0) + (self._behind >= BEHIND[2]))
        return max(least, self._state)

    @property
    def why(self) -> str:
        """Why the state is not OK, for a person; empty when it is."""
        return self._why or ("the disk does not keep up" if self._behind >= BEHIND[0] else "")

    def append(self, kind: str, **said: Unpack[Said]) -> int:
        """Add an entry and give its seq. Raises Unencodable for what is no entry, Failure when BEHIND is exceeded."""
        self.flush()
        self._check_room()
        return self._add(kind, time_text(self._clock()), said)

    def put_off(self, kind: str, part: Part, secret: tuple[bytes, bytes], said: Callable[[], Said]) -> int:
        """As append() of an entry with the digest of a body (secret: its key, and it), in its place now, computed later.

        said: gives the rest of it then, a value of its own, whatever has happened since. That is in flush(), which the loop
        calls when nothing else waits, and all here that needs the log's end. What then turns out to be no entry, which no
        caller can bring about, is told by a note in its place.
        """
        self._check_room()
        self._off.append((kind, self._clock(), part, secret, said))
        self.size += 1
        if self._state is not LogState.OK or len(secret[1]) > LARGE:  # every byte counts, or this one has many
            self.flush()
        return self.size - 1

    def flush(self) -> None:
        """Compute what was put off, and have what was put onto tapes brought to disk."""
        off, self._off = self._off, []
        for kind, clock, part, (key, body), say in off:
            try:
                fields = say()
                fields[part] = body_digest(key, body)
                self._add(kind, time_text(clock), fields)
            except Exception as error:  # noqa: BLE001 - whatever it is, others have their places behind this one
                self._add("note", time_text(clock), {"principal": KERNEL, "why": f"no {kind} can be told: {error}"})
        if not self.journal.is_idle:
            self._urgent |= (is_much := self.journal.behind > MUCH)
            with self._lock:
                was_idle, self._idle = self._idle, False
            if was_idle or is_much:
                self._ring()

    def _check_room(self) -> None:
        if self._behind >= BEHIND[3]:
            raise Failure("log", f"the log takes no more entries: {self.why}")

    def _add(self, kind: str, time: str, said: Said) -> int:
        with self._lock:
            seq = self._chain.seq
            line = self._chain.append(kind=kind, time=time, **said) + b"\n"
            self._queue.append(line)
            self.size = max(self.size, seq + 1)
            self._behind += len(line)
            was_idle, self._idle = self._idle, False
        if was_idle:
            self._ring()
        return seq

    def after(self, seq: int, act: Callable[[], object]) -> None:
        """Do act when entry seq is on disk: now if it is, else by settle(), in the order in which acts were given."""
        if seq < self.durable:
            act()
            return
        self.flush()
        self._acts.append((seq, act))
        self._urgent = True
        self._ring()

    def settle(self) -> None:
        """Do what is due. Called when wake is readable; at other times it does no harm."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        try:
            while self._acts and self._acts[0][0] < self.durable:
                self._acts.popleft()[1]()
        finally:  # one that raised leaves the others to the loop's next turn
            if self._acts and self._acts[0][0] < self.durable:
                os.eventfd_write(self._wake, 1)

    def keep_key(self, run: str, key: bytes) -> None:
        """Keep the key of a run's body digests; it is on disk before any entry that is appended later."""
        with self._lock:  # a newline first, too: a crash may have cut the line before
            self._keys.append(b"\n" + msgspec.json.encode({"run": run, "key": key.hex()}) + b"\n")

    def snapshot(self, state: bytes) -> int:
        """Keep the kernel's state as of now, to start from: adds its entry now, and the file once that is on disk."""
        self.flush()
        size, prev, frontier = self.size, self._chain.prev, self._chain.frontier.to_list()
        with self._lock:
            self._snapshot = Snapshot(origin=self._origin, size=size, prev=prev, frontier=frontier, state=state)
        return self.append("snapshot", principal=KERNEL, detail={"digest": sha256(state).hexdigest()})

    def close(self) -> None:
        """Bring everything to disk, with a checkpoint over it. If the disk takes no more, durable stays below size."""
        self.flush()
        self._closing = True
        self._ring()
        self._thread.join()
        self._entries.close(keep=True)
        self._keys_file.close(keep=True)
        os.close(self.journal.spare)
        self.settle()

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _serve(self) -> None:
        """The thread."""
        try:
            is_last = False
            while not is_last:
                is_last = self._closing
                if not is_last:
                    self._rest()
                self._take()
                if self._lines or self._key_lines or not self.journal.is_idle:
                    self._store()
                if is_last or (monotonic() >= self._due and not self._failed):
                    self._tidy()
        finally:
            self._tell(LogState.SPENT, "the log is closed")

    def _rest(self) -> None:
        if self._failed:
            until = monotonic() + RETRY
            while not self._closing and (left := until - monotonic()) > 0:
                self._bell.acquire(timeout=left)
            return
        with self._lock:
            self._idle = is_idle = not self._queue and self.journal.is_idle
        if is_idle and not self._closing:
            self._bell.acquire(timeout=-1 if self._due == inf else max(0.0, self._due - monotonic()))
        if not self._urgent and not self._closing:
            self._bell.acquire(timeout=LINGER)

    def _take(self) -> None:
        with self._lock:
            self._urgent = False
            self._lines += self._queue
            self._key_lines += self._keys
            self._queue, self._keys = [], []
            self._taken = self._chain.frontier.copy()
            if self._snapshot is not None and self._snapshot.size < self._taken.size:
                before = sum(map(len, self._lines[: self._snapshot.size - self.durable]))
                place = {"segment": self._segment, "offset": self._entries.end + before}
                self._placed, self._snapshot = msgspec.structs.replace(self._snapshot, **place), None
        self.journal.take()

    def _store(self) -> None:
        """One write and one sync of all that was taken."""
        try:
            if self._signed < 0:
                self._checkpoint()  # of no entry: from now on a log without any checkpoint is a damaged one
            if self._key_lines:
                self._keys_file.put(b"".join(self._key_lines))
                self._key_lines = []
            self.journal.store()
            if self._lines:
                self._entries.put(b"".join(self._lines))
        except OSError as error:
            self._failed = True
            self._tell(LogState.SPENT, f"the log cannot be written: {trouble(error)}")
            return
        with self._lock:
            self._behind -= sum(map(len, self._lines))
        self._lines, self._tree, self._failed = [], self._taken, False
        self.durable = self._tree.size
        os.eventfd_write(self._wake, 1)
        self._due = min(self._due, monotonic() + CHECKPOINT_AFTER)
        is_short = self._entries.room < (LAST if self._state else RESERVE // 2)
        if self._state is LogState.SPENT or is_short or (0 < self.journal.room < journal.RESERVE and not self._state):
            self._tidy()

    def _tidy(self) -> None:
        """What is due each second: checkpoint, snapshot, reserve and the next file; and what follows for the state."""
        self._due = inf
        try:
            try:
                self._checkpoint()
                if self._placed is not None and self._placed.size < self.durable:
                    replace(self._folder / "snapshot", sealed(self._placed, self._key))
                    self._placed = None
            finally:
                self._keys_file.reserve()
                self._entries.reserve()
                self.journal.reserve()
            if self._entries.end >= SEGMENT and not self._failed:  # and under a checkpoint, since it was just signed
                following = Growing(segment_path(self._folder, self._segment + 1), reserve=RESERVE)
                self._entries.close(keep=False)
                self._entries, self._segment = following, self._segment + 1
                following.reserve()
        except OSError as error:
            self._due = monotonic() + RETRY
            is_spent = self._failed or self._entries.room < LAST or self.journal.room < journal.LAST
            self._tell(LogState.SPENT if is_spent else LogState.FULL, f"the log has no reserve: {trouble(error)}")
        else:
            self._tell(LogState.OK, "")

    def _checkpoint(self) -> None:
        size, root = self._tree.size, self._tree.root()
        if size == self._signed:
            return
        note = sign_checkpoint(Checkpoint(origin=self._origin, size=size, root=root), self._key).encode()
        replace(self._folder / "checkpoint", note)
        if self._signed < 0 or self._closing:
            sync_folder(self._folder)
        self._signed = size
        if size >= self._kept + (1 if self._closing else HISTORY):
            with open(self._folder / "checkpoints", "ab") as file:
                file.write(b"\n" + note)
            self._kept = size

    def _tell(self, state: LogState, why: str) -> None:
        if (state, why) != (self._state, self._why):
            self._state, self._why = state, why
            os.eventfd_write(self._wake, 1)
