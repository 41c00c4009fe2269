"""What scheduling keeps on the disk, in one SQLite file of its own (acts).

Every round is one transaction, which is on the disk when it ends (synchronous = FULL): a firing is there before the kernel is
asked to begin its run, and what became of it before the next thing is decided. A kill or a power cut at any moment leaves
whole rounds, and firings of which it is not known what became of them; those are asked for again, under the same key.
A file that is damaged is set aside, never deleted; everything then counts from each schedule's install, and the kernel, which
knows the keys of what began last, begins none of that again.
On a disk without room for a new file, or for what the file of an older version lacks, nothing is kept until there is room,
and so nothing may be begun.
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
DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError)
BODY_MOST: Final = limits.ARGUMENTS_MAX
"""Bytes of an event that may begin a run, as the kernel has it."""

KEPT: Final = 200
"""Rows of history of each Hand that are kept at least as long as it is installed."""

KEPT_IN_ALL: Final = 100_000
PRUNE_EVERY: Final = 64
"""Rows added for a Hand between two looks at how many it has."""

TOGETHER_MS: Final = 60_000
"""What is skipped for one reason within so long is one row, with a count."""

PRAGMAS: Final = (
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "synchronous = FULL",
    "journal_size_limit = 4194304",
    "cache_size = -4096",
    "temp_store = MEMORY",
)


class Pending(Struct, frozen=True, kw_only=True):
    """A firing that is to begin a run. due: not before that; depth: as manifests/schedules.py counts it.

    labels: of the event that begins it, for another process may ask for its run than the one that was marked by it.
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
    """What became of a firing. what: fired, missed, skipped or refused. count: of firings that one row stands for."""

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
    """One open file. notes: what a person should know about the opening. is_kept: False as long as it stands for a file
    that has no room; it knows nothing then, and what it is told is forgotten when `keep` opens the file.
    """

    def __init__(self, folder: Path, *, now: int) -> None:
        self.path = folder / FILE
        self.notes: list[str] = []
        self._added: dict[str, int] = {}
        self._connection = _opened(":memory:", now)
        self.is_kept = False
        try:
            self.keep(now)
        except NO_ROOM:
            pass  # whoever may begin nothing without it opens it again

    def keep(self, now: int) -> None:
        """Open the file where it is not open. Raises what is in NO_ROOM."""
        if self.is_kept:
            return
        try:
            opened = _opened(self.path, now)
        except DAMAGE as error:
            self._set_aside(now, str(error).splitlines()[0])
            opened = _opened(self.path, now)
        self._connection.close()
        self._connection, self.is_kept = opened, True

    def close(self) -> None:
        """Close the file; the write-ahead log goes into it."""
        self._connection.close()

    @contextmanager
    def round(self) -> Iterator[None]:
        """All writes within are one transaction: on the disk together, or not at all when an exception leaves it."""
        with self._connection:
            yield

    def cursors(self) -> dict[str, tuple[int, int]]:
        """By Hand: since when its schedule counts, and until when it has been dealt with."""
        return {str(hand): (int(since), int(done)) for hand, since, done in self._connection.execute(sql.CURSORS)}

    def move(self, hand: str, since: int, done: int) -> None:
        """A schedule has been dealt with until then."""
        self._connection.execute(sql.CURSOR_PUT, (hand, since, done))

    def forget(self, hand: str, *, only_pending: bool = False) -> None:
        """A Hand is gone, or its schedule is another one: nothing of it is to begin a run. Its history stays."""
        self._connection.execute(sql.PENDING_DROP, (hand,))
        if not only_pending:
            self._connection.execute(sql.CURSOR_DROP, (hand,))

    def add(self, firing: Pending) -> bool:
        """Keep a firing that is to begin a run; False for one that is kept already, or has become something."""
        self._connection.execute(sql.PENDING_ADD, msgspec.structs.asdict(firing) | {"labels": "\n".join(firing.labels)})
        return self._connection.changes() > 0

    def pending(self) -> list[Pending]:
        """Every firing of which it is not known whether it began a run, in order."""
        return [
            Pending(
                hand=str(hand), name=str(name), key=str(key), planned=int(planned), due=int(due), made_up=bool(made_up),
                event=str(event), depth=int(depth), body=bytes(body), labels=tuple(filter(None, str(labels).split("\n"))),
            )
            for _, hand, name, key, planned, due, made_up, event, depth, body, labels in self._connection.execute(
                sql.PENDING_ALL
            )
        ]  # fmt: skip

    def became(self, firing: Pending, row: Row) -> None:
        """What became of a firing."""
        self._connection.execute(sql.PENDING_DONE, (firing.hand, firing.key))
        self.tell(row)

    def tell(self, row: Row) -> bool:
        """Keep a row of history; one that says the same as the one before it, soon after it, is counted there: False."""
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

    def ended(self, hand: str, key: str, run: str, outcome: str) -> bool:
        """How the run of a firing ended, which after an upgrade may be another one; False for one not in the history."""
        self._connection.execute(sql.HISTORY_OUTCOME, (outcome, run, hand, key))
        return self._connection.changes() > 0

    def history(self, name: str, most: int) -> list[Row]:
        """What became of the last firings of a Hand, or of all for "", the newest last."""
        found = self._connection.execute(sql.HISTORY_OF, (name, most)).fetchall()
        names = ("at", "name", "what", "planned", "run", "outcome", "why", "count")
        return [msgspec.convert(dict(zip(names, row, strict=True)), Row) for row in reversed(found)]

    def _set_aside(self, now: int, why: str) -> None:
        aside = set_aside(self.path, now)
        self.notes.append(f"what was kept of schedules was damaged ({why}); it was set aside as {aside}")


def _opened(path: Path | str, now: int) -> apsw.Connection:
    """The file, with its tables. Raises CorruptError or NotADBError for one that cannot be used.

    Events that begin no run, since they are too large, waited in the files of versions before: all of them may be more than
    can be read, so none of them is.
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
    except apsw.Error:
        connection.close(force=True)
        raise
    return connection
