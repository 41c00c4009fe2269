"""Stores schedules' firings and history on disk, in one SQLite file (acts).

Each round is one transaction, on disk when it ends (synchronous = FULL): a firing is stored before the kernel is asked to
start its run, and its outcome before the next decision. A kill or a power cut leaves whole rounds, and firings of unknown
outcome, which are asked for again under the same key. A damaged file is set aside, and a new one begun; every schedule then
counts from its Hand's install, and the kernel, which remembers the keys of the latest firings, starts none of them again.
On a disk without room for a new file, or to migrate an older one, nothing is stored until there is room, and so nothing may
be started.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
import msgspec
from msgspec import Struct

import scheduling_sql as sql
from runtime.table_file import NO_ROOM, set_aside
from wire import limits

FILE: Final = "schedules.db"
DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError)
"""UnicodeDecodeError: a flipped byte in a text, which SQLite does not check."""

SET_ASIDE_MOST: Final = 2
"""Damaged files that are kept, the latest, so that a bad disk does not fill up."""

BODY_MOST: Final = limits.ARGUMENTS_MAX
"""Bytes of an event that may start a run: the kernel's limit for arguments."""

KEPT: Final = 200
"""History rows of each Hand that are kept."""

KEPT_IN_ALL: Final = 100_000
PRUNE_EVERY: Final = 64
"""Rows added for a Hand between two prunings."""

TOGETHER_MS: Final = 60_000
"""Equal outcomes of firings without a run, within this time, are one row with a count."""

PRAGMAS: Final = (
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "synchronous = FULL",
    "journal_size_limit = 4194304",
    "cache_size = -4096",
    "temp_store = MEMORY",
)


class Pending(Struct, frozen=True, kw_only=True):
    """A firing that is to start a run. due: not before then. depth: as manifests/schedules.py counts it.

    labels: of the event behind it; another process than the one that received the event may ask for the run.
    """

    hand: str
    name: str
    key: str
    planned: int
    due: int
    made_up: bool = False
    event: str = ""
    depth: int = 0
    body: bytes = b""
    labels: tuple[str, ...] = ()


class Row(Struct, frozen=True, kw_only=True):
    """A history row: a firing's outcome. what: fired, missed, skipped or refused. count: firings that the row stands for."""

    at: int
    name: str
    what: str
    planned: int
    hand: str = ""
    key: str = ""
    run: str = ""
    outcome: str = ""
    why: str = ""
    count: int = 1


class Store:
    """The open file. notes: what a person should know about opening it. is_kept: False while there is no room for the file:
    then the store is in memory, empty at first, and its content is lost when `open` succeeds.
    """

    def __init__(self, folder: Path, *, now: int) -> None:
        self.path = folder / FILE
        self.notes: list[str] = []
        self._added: dict[str, int] = {}
        self._connection = _open_file(":memory:", now)
        self.is_kept = False
        try:
            self.open(now)
        except NO_ROOM:
            pass  # the Hand calls `open` again, and starts nothing before

    def open(self, now: int) -> None:
        """Opens the file, unless it is open. Raises the errors in NO_ROOM."""
        if self.is_kept:
            return
        try:
            opened = _open_file(self.path, now)
        except DAMAGE as error:
            self.set_aside(now, error)
            opened = _open_file(self.path, now)
        self._connection.close()
        self._connection, self.is_kept = opened, True

    def set_aside(self, now: int, error: Exception) -> None:
        """Moves a damaged file aside; `open` then begins a new one. error: why it is damaged."""
        if self.is_kept:
            self._connection.close(force=True)
            self._connection, self.is_kept = _open_file(":memory:", now), False
        aside = set_aside(self.path, now, most=SET_ASIDE_MOST)
        why = str(error).splitlines()[0]
        self.notes.append(f"what was kept of schedules was damaged ({why}); it was set aside as {aside}")

    def close(self) -> None:
        """Closes the file and merges its write-ahead log."""
        self._connection.close()

    @contextmanager
    def round(self) -> Iterator[None]:
        """Makes all writes in the block one transaction: on disk together, or none if an exception leaves it."""
        with self._connection:
            yield

    def cursors(self) -> dict[str, tuple[int, int]]:
        """By Hand: (since when its schedule counts, until when it was handled)."""
        return {str(hand): (int(since), int(done)) for hand, since, done in self._connection.execute(sql.CURSORS)}

    def set_cursor(self, hand: str, since: int, done: int) -> None:
        """Notes that a schedule was handled until `done`."""
        self._connection.execute(sql.CURSOR_PUT, (hand, since, done))

    def forget(self, hand: str, *, only_pending: bool = False) -> None:
        """Removes a Hand's pending firings and, unless only_pending, its cursor. Its history stays."""
        self._connection.execute(sql.PENDING_DROP, (hand,))
        if not only_pending:
            self._connection.execute(sql.CURSOR_DROP, (hand,))

    def add(self, firing: Pending) -> bool:
        """Stores a pending firing. False if it is stored already, or has an outcome."""
        self._connection.execute(sql.PENDING_ADD, msgspec.structs.asdict(firing) | {"labels": "\n".join(firing.labels)})
        return self._connection.changes() > 0

    def pending(self) -> list[Pending]:
        """All firings without an outcome, in order."""
        return [
            Pending(
                hand=str(hand), name=str(name), key=str(key), planned=int(planned), due=int(due), made_up=bool(made_up),
                event=str(event), depth=int(depth), body=bytes(body), labels=tuple(filter(None, str(labels).split("\n"))),
            )
            for _, hand, name, key, planned, due, made_up, event, depth, body, labels in self._connection.execute(
                sql.PENDING_ALL
            )
        ]  # fmt: skip

    def finish(self, firing: Pending, row: Row) -> None:
        """Replaces a pending firing by its history row."""
        self._connection.execute(sql.PENDING_DONE, (firing.hand, firing.key))
        self.add_row(row)

    def add_row(self, row: Row) -> bool:
        """Adds a history row. False if the Hand's last row says the same and is recent: then it is counted there."""
        last = self._connection.execute(sql.HISTORY_LAST, (row.hand,)).fetchone()
        is_same = last is not None and not row.run and last[2:4] == (row.what, row.why)
        if last is not None and is_same and 0 <= row.at - int(last[1]) < TOGETHER_MS:
            self._connection.execute(sql.HISTORY_MORE, (row.count, row.planned, row.at, last[0]))
            return False
        self._connection.execute(sql.HISTORY_ADD, msgspec.structs.asdict(row))
        self._added[row.hand] = self._added.get(row.hand, PRUNE_EVERY) + 1
        if self._added[row.hand] > PRUNE_EVERY:
            self._added[row.hand] = 0
            self._connection.execute(sql.HISTORY_PRUNE, (row.hand, KEPT, row.at))
            self._connection.execute(sql.HISTORY_BOUND, (KEPT_IN_ALL,))
        return True

    def set_outcome(self, hand: str, key: str, run: str, outcome: str) -> bool:
        """Stores how a firing's run ended, which after an upgrade may be another run. False if it has no history row."""
        self._connection.execute(sql.HISTORY_OUTCOME, (outcome, run, hand, key))
        return self._connection.changes() > 0

    def history(self, name: str, most: int) -> list[Row]:
        """The last `most` history rows of a Hand, or of all if "", newest last."""
        found = self._connection.execute(sql.HISTORY_OF, (name, most)).fetchall()
        names = ("at", "name", "what", "planned", "run", "outcome", "why", "count")
        return [msgspec.convert(dict(zip(names, row, strict=True)), Row) for row in reversed(found)]


def _open_file(path: Path | str, now: int) -> apsw.Connection:
    """Opens the file and makes or migrates its tables. Raises the errors in DAMAGE if it cannot be used.

    Refuses pending firings whose event is too large, which older versions stored: together they may be more than memory
    holds, so none is read.
    """
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(2_000)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        check = connection.execute("PRAGMA quick_check(1)").fetchone()
        version = connection.execute("PRAGMA user_version").fetchone()
        if check is None or check[0] != "ok" or version is None or version[0] not in range(sql.VERSION + 1):
            raise apsw.CorruptError(
                f"it is of version {version and version[0]}, and its check says {check and check[0]}"
            )
        if version[0] == 0:
            with connection:
                connection.execute(sql.SCHEMA)
                connection.execute(f"PRAGMA application_id = {sql.APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {sql.VERSION}")
        elif version[0] == 1:
            with connection:
                connection.execute(sql.FROM_1)
                connection.execute(f"PRAGMA user_version = {sql.VERSION}")
        with connection:
            connection.execute(sql.PENDING_REFUSE, {"now": now, "most": BODY_MOST})
        for query in (sql.CURSORS, sql.PENDING_TEXTS):
            connection.execute(query).fetchall()  # quick_check does not check texts
    except (apsw.Error, UnicodeDecodeError):
        connection.close(force=True)
        raise
    return connection
