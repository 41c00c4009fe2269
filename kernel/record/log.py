"""Writes the log: the main thread appends entries, and a thread of the log's writes and syncs them in groups (acts).

Separate because it is the kernel's only other thread, but for those that sync tapes for it (growing.py). append() gives an
entry its place and never waits; after() registers what to do when an entry is on disk. The thread writes all that is queued
and syncs it once: at once if somebody waits or many bytes of tapes do, otherwise LINGER after the first. So a hundred
waiting calls share one sync, and reads cost few.

append() fixes each entry's place, and lines stay in memory until they are on disk. So a write or sync that failed is
repeated with the same bytes at the same place, which also rewrites what the system may drop after a failed sync. Nothing
is ever truncated, which would give the reserve away.

Below the folder: entries/NNNNNN.jsonl, with RESERVE bytes allocated behind the end (where the file system cannot, a full
disk turns OK into SPENT at once); checkpoint, the newest, never ahead of the disk; checkpoints, one per HISTORY entries and
at each stop, to narrow down where a log was changed; snapshot, see kernel/record/recovery.py. The keys of bodies' digests are
in ../journal/keys/000000.jsonl, one per line, on disk before later entries; a key is erased by overwriting its digits.
The tapes of runs, in ../journal/runs (kernel/record/journal.py), are on disk before entries appended after their records.
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
from wire.snapshot import Snapshot, seal_snapshot

SEGMENT: Final = 64 * 1024 * 1024
"""Bytes of entries in a file, after which the next file is begun."""

RESERVE: Final = 16 * 1024 * 1024
LAST: Final = 256 * 1024
"""Bytes kept allocated behind the entries, and how many of these only the operator's calls may use. Entries that still wait
for the disk count: the state is SPENT as soon as they would leave fewer than LAST."""

KEYS_RESERVE: Final = 1024 * 1024

BEHIND: Final = (8 * 1024 * 1024, 32 * 1024 * 1024, 64 * 1024 * 1024, 96 * 1024 * 1024)
"""Bytes of entries that wait for a slow disk: the state is FULL from the first number on, SPENT from the second, OVER from
the third, which leaves room for the entries of `freeze`. From the fourth on append() raises.
"""

LINGER: Final = 0.1
CHECKPOINT_AFTER: Final = 0.75
RETRY: Final = 1.0
"""Seconds. LINGER: the longest that entries for which nobody waits are held to be synced with others. CHECKPOINT_AFTER: from
the first sync of entries to their checkpoint. RETRY: from a failure to the next attempt."""

MUCH: Final = 2 * 1024 * 1024
"""Waiting bytes of tapes that are synced at once: less than BEHIND_MOST, beyond which runs are sent nothing (tapes.py)."""

HISTORY, LARGE = 4096, 16 * 1024
"""Entries between the checkpoints that are kept; bytes of a body whose digest is not deferred, to free its memory."""

Part = Literal["arguments", "reply"]


class LogState(IntEnum):
    """OK: all calls may pass. FULL: there is no reserve, so calls with an effect must be refused. SPENT: only the operator's
    `kernel.*` may pass. OVER: only `kernel.freeze` may.
    """

    OK = 0
    FULL = 1
    SPENT = 2
    OVER = 3


class Log:
    """The end of the log. Its methods are the main thread's, and only close() waits for the disk.

    size: entries appended. durable: entries known to be on disk: those with a lower seq. size_at_open: entries when it was
    opened. journal: the tapes, whose records go to disk as entries do.
    """

    def __init__(
        self, folder: Path, *, key: SigningKey, origin: str, chain: Chain, wake: int, clock: Callable[[], int]
    ) -> None:
        """Raises OSError if the files cannot be opened.

        chain: the end of the log, as recover() has just found it. clock: microseconds since 1970. wake: a non-blocking
        eventfd, readable when entries came to disk or the state changed: the loop then calls run_due_acts().
        """
        self._chain, self._clock, self._wake = chain, clock, wake
        self.durable = self.size_at_open = self.size = chain.seq
        self.journal = journal.Journal(folder.parent / "journal")
        self._acts: deque[tuple[int, Callable[[], object]]] = deque()
        self._state, self._why = LogState.OK, ""
        self._lock = threading.Lock()  # over the chain and what is queued
        self._queue, self._keys = list[bytes](), list[bytes]()
        self._deferred: list[tuple[str, int, Part, tuple[bytes, bytes], Callable[[], Said]]] = []
        self._snapshot: Snapshot | None = None
        self._unsynced = 0  # bytes of entries that are not on disk
        self._bell = threading.Lock()  # the thread sleeps on it; only the main thread releases it
        self._bell.acquire()
        self._idle = self._urgent = self._closing = False
        # All below belongs to the log's thread.
        self._folder, self._key, self._origin = folder, key, origin
        self._segment = max(0, len(segments(folder)) - 1)
        self._entries = Growing(segment_path(folder, self._segment), reserve=RESERVE)
        self._keys_file = Growing(folder.parent / "journal" / "keys" / "000000.jsonl", reserve=KEYS_RESERVE)
        self._lines, self._key_lines = list[bytes](), list[bytes]()  # taken from the queues, not on disk
        self._taken_tree = self._durable_tree = chain.frontier.copy()  # over all lines taken; over those on disk
        self._pending_snapshot: Snapshot | None = None
        self._signed = 0 if (folder / "checkpoint").exists() else -1
        self._in_history, self._due, self._failed = chain.seq, inf, False
        self._thread = threading.Thread(target=self._serve, name="log", daemon=True)
        self._thread.start()

    @property
    def last(self) -> Entry:
        """The entry that was added last."""
        return self._chain.last

    @property
    def state(self) -> LogState:
        """What the log can take now."""
        if self._state is LogState.OK and self._unsynced < BEHIND[0]:
            return LogState.OK
        room = min(self._entries.room - self._unsynced - LAST, self.journal.room - journal.LAST)
        # FULL at least; one step more for SPENT, and another for OVER
        least = LogState(1 + (self._unsynced >= BEHIND[1] or room < 0) + (self._unsynced >= BEHIND[2]))
        return max(least, self._state)

    @property
    def why(self) -> str:
        """Why the state is not OK, for a person; empty if it is."""
        return self._why or ("the disk does not keep up" if self._unsynced >= BEHIND[0] else "")

    def append(self, kind: str, **fields: Unpack[Said]) -> int:
        """Add an entry and return its seq. Raises Unencodable for invalid fields, Failure when BEHIND is exceeded."""
        self.flush()
        self._check_room()
        return self._add(kind, time_text(self._clock()), fields)

    def defer(self, kind: str, part: Part, secret: tuple[bytes, bytes], fields: Callable[[], Said]) -> int:
        """Give an entry with the digest of a body its place now, and compute it in flush(). Returns its seq.

        part: the digest's field. secret: the digest's key, and the body. fields: returns the other fields, in a new value, as
        they are now. The loop calls flush() when no message waits, and so does all here that needs the log's end. If the
        fields prove invalid, which no caller can bring about, a note takes the entry's place.
        """
        self._check_room()
        self._deferred.append((kind, self._clock(), part, secret, fields))
        self.size += 1
        if self._state is not LogState.OK or len(secret[1]) > LARGE:  # the room must be counted, or the memory freed
            self.flush()
        return self.size - 1

    def flush(self) -> None:
        """Compute the deferred entries, and have new records of tapes brought to disk."""
        deferred, self._deferred = self._deferred, []
        for kind, clock, part, (key, body), make_fields in deferred:
            try:
                fields = make_fields()
                fields[part] = body_digest(key, body)
                self._add(kind, time_text(clock), fields)
            except Exception as error:  # noqa: BLE001 - this place must be filled: later entries have theirs already
                self._add("note", time_text(clock), {"principal": KERNEL, "why": f"no {kind} can be written: {error}"})
        if self.journal.behind:
            self._urgent |= (is_much := self.journal.behind > MUCH)
            with self._lock:
                was_idle, self._idle = self._idle, False
            if was_idle or is_much:
                self._ring()

    def _check_room(self) -> None:
        """Raise Failure if more bytes wait for the disk than may."""
        if self._unsynced >= BEHIND[3]:
            raise Failure("log", f"the log takes no more entries: {self.why}")

    def _add(self, kind: str, time: str, fields: Said) -> int:
        """Append an entry to the chain and queue its line for the log's thread. Returns its seq."""
        with self._lock:
            seq = self._chain.seq
            line = self._chain.append(kind=kind, time=time, **fields) + b"\n"
            self._queue.append(line)
            self.size = max(self.size, seq + 1)
            self._unsynced += len(line)
            was_idle, self._idle = self._idle, False
        if was_idle:
            self._ring()
        return seq

    def after(self, seq: int, act: Callable[[], object]) -> None:
        """Call act when entry seq is on disk: now if it is, otherwise from run_due_acts(), in the order of these calls."""
        if seq < self.durable:
            act()
            return
        self.flush()
        self._acts.append((seq, act))
        self._urgent = True
        self._ring()

    def run_due_acts(self) -> None:
        """Call the acts of after() that are due. The loop calls this when `wake` is readable; it does no harm otherwise."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        try:
            while self._acts and self._acts[0][0] < self.durable:
                self._acts.popleft()[1]()
        finally:  # if an act raised, the others run in the loop's next round
            if self._acts and self._acts[0][0] < self.durable:
                os.eventfd_write(self._wake, 1)

    def keep_key(self, run: str, key: bytes) -> None:
        """Store the key of a run's body digests. It is on disk before any entry appended later."""
        with self._lock:  # a newline first, too, since a crash may have torn the line before
            self._keys.append(b"\n" + msgspec.json.encode({"run": run, "key": key.hex()}) + b"\n")

    def snapshot(self, state: bytes) -> int:
        """Store the kernel's state as a snapshot to start from: append its entry now, write its file once that is on disk.

        Returns the seq of the entry.
        """
        self.flush()
        size, prev, frontier = self.size, self._chain.prev, self._chain.frontier.to_list()
        with self._lock:
            self._snapshot = Snapshot(origin=self._origin, size=size, prev=prev, frontier=frontier, state=state)
        return self.append("snapshot", principal=KERNEL, detail={"digest": sha256(state).hexdigest()})

    def close(self) -> None:
        """Bring everything to disk, with a checkpoint over it. If the disk is full, `durable` stays below `size`."""
        self.flush()
        self._closing = True
        self._ring()
        self._thread.join()
        self._entries.close(keep=True)
        self._keys_file.close(keep=True)
        os.close(self.journal.spare)
        self.run_due_acts()

    def _ring(self) -> None:
        """Wake the log's thread."""
        if self._bell.locked():
            self._bell.release()

    def _serve(self) -> None:
        """Run the log's thread until close()."""
        try:
            is_last = False
            while not is_last:
                is_last = self._closing
                if not is_last:
                    self._wait_for_work()
                self._take_queue()
                if self._lines or self._key_lines or self.journal.behind:
                    self._store()
                if is_last or (monotonic() >= self._due and not self._failed):
                    self._maintain()
        finally:
            self._set_state(LogState.SPENT, "the log is closed")

    def _wait_for_work(self) -> None:
        """Wait for something to write, or a due checkpoint; then LINGER, unless somebody waits. After a failure: RETRY."""
        if self._failed:
            until = monotonic() + RETRY
            while not self._closing and (left := until - monotonic()) > 0:
                self._bell.acquire(timeout=left)
            return
        with self._lock:
            self._idle = is_idle = not (self._queue or self.journal.behind)
        if is_idle and not self._closing:
            self._bell.acquire(timeout=-1 if self._due == inf else max(0.0, self._due - monotonic()))
        if not self._urgent and not self._closing:
            self._bell.acquire(timeout=LINGER)

    def _take_queue(self) -> None:
        """Take all queued lines and keys, and the tree over them, for the next write."""
        with self._lock:
            self._urgent = False
            self._lines += self._queue
            self._key_lines += self._keys
            self._queue, self._keys = [], []
            self._taken_tree = self._chain.frontier.copy()
            if self._snapshot is not None and self._snapshot.size < self._taken_tree.size:
                before = sum(map(len, self._lines[: self._snapshot.size - self.durable]))
                place = {"segment": self._segment, "offset": self._entries.end + before}
                self._pending_snapshot, self._snapshot = msgspec.structs.replace(self._snapshot, **place), None
        self.journal.take_queued()

    def _store(self) -> None:
        """Write and sync all that was taken from the queues: keys, then tapes, then entries."""
        try:
            if self._signed < 0:
                self._checkpoint()  # over no entry: from now on a log without any checkpoint counts as damaged
            if self._key_lines:
                self._keys_file.put(b"".join(self._key_lines))
                self._key_lines = []
            self.journal.store()
            if self._lines:
                self._entries.put(b"".join(self._lines))
        except OSError as error:
            self._failed = True
            self._set_state(LogState.SPENT, f"the log cannot be written: {trouble(error)}")
            return
        with self._lock:
            self._unsynced -= sum(map(len, self._lines))
        self._lines, self._durable_tree, self._failed = [], self._taken_tree, False
        self.durable = self._durable_tree.size
        os.eventfd_write(self._wake, 1)
        self._due = min(self._due, monotonic() + CHECKPOINT_AFTER)
        is_short = self._entries.room < (LAST if self._state else RESERVE // 2)
        if self._state is LogState.SPENT or is_short or (0 < self.journal.room < journal.RESERVE and not self._state):
            self._maintain()

    def _maintain(self) -> None:
        """Write checkpoint and snapshot, top up the reserves, begin the next file if due, and set the state accordingly."""
        self._due = inf
        try:
            try:
                self._checkpoint()
                if self._pending_snapshot is not None and self._pending_snapshot.size < self.durable:
                    replace(self._folder / "snapshot", seal_snapshot(self._pending_snapshot, self._key))
                    self._pending_snapshot = None
            finally:
                self._keys_file.reserve()
                self._entries.reserve()
                self.journal.reserve()
            if self._entries.end >= SEGMENT and not self._failed:  # a checkpoint that was just signed covers all of it
                following = Growing(segment_path(self._folder, self._segment + 1), reserve=RESERVE)
                self._entries.close(keep=False)
                self._entries, self._segment = following, self._segment + 1
                following.reserve()
        except OSError as error:
            self._due = monotonic() + RETRY
            is_spent = self._failed or self._entries.room < LAST or self.journal.room < journal.LAST
            self._set_state(LogState.SPENT if is_spent else LogState.FULL, f"the log has no reserve: {trouble(error)}")
        else:
            self._set_state(LogState.OK, "")

    def _checkpoint(self) -> None:
        """Sign and write a checkpoint over what is on disk, if there is anything new."""
        size, root = self._durable_tree.size, self._durable_tree.root()
        if size == self._signed:
            return
        note = sign_checkpoint(Checkpoint(origin=self._origin, size=size, root=root), self._key).encode()
        replace(self._folder / "checkpoint", note)
        if self._signed < 0 or self._closing:
            sync_folder(self._folder)
        self._signed = size
        if size >= self._in_history + (1 if self._closing else HISTORY):
            with open(self._folder / "checkpoints", "ab") as file:
                file.write(b"\n" + note)
            self._in_history = size

    def _set_state(self, state: LogState, why: str) -> None:
        """Set the state, and tell the loop if it changed."""
        if (state, why) != (self._state, self._why):
            self._state, self._why = state, why
            os.eventfd_write(self._wake, 1)
