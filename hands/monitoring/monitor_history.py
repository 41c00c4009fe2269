"""The history on disk: values, hourly summaries, changes and alarm states in one SQLite file (acts).

Locking is exclusive, since this Hand alone opens the file; write-ahead logging then needs no shared memory. A round is one
transaction, so a kill leaves whole rounds; with synchronous = NORMAL a power cut may lose the last rounds, never the file.
A damaged file is set aside beside the new one, never silently deleted.

Size is bounded: values are kept for `keep_values`, hours and changes for `keep`; and whatever these say, the oldest go
first when the file would grow over `most` bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import apsw
import msgspec

import monitor_sql as sql
from monitor_baseline import HOUR_MS, Hour, hour_number, summarise
from monitor_report import Change
from runtime.table_file import NO_ROOM, set_aside

FILE: Final = "history.db"
SET_ASIDE_MOST: Final = 2
CHANGES_MOST: Final = 20_000
FREE_SHARE: Final = 0.9
"""Share of the maximum that may be used after pruning, so that not every round prunes."""

CHANGES_SHARE: Final = 0.25
"""Share of the maximum that changes may take after pruning: many long ones must not displace all values."""

VALUES_FEW: Final = 10_000
CHANGE_COLUMNS: Final = ("at", "target", "subject", "kind", "level", "text")
PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "journal_size_limit = 4194304",
    "cache_size = -4096",
    "temp_store = MEMORY",
)

DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError)
"""UnicodeDecodeError: a flipped byte in a text, which SQLite does not check."""

SeriesKey = tuple[str, str, str]
"""Target, subject, metric."""

Opened = tuple[apsw.Connection, dict[SeriesKey, tuple[int, int]]]
"""(an open file, {series: (its number, when it began)})."""

Value = TypeVar("Value")


class HistoryTooNew(Exception):
    """The file was made by a later version of this Hand, and is left alone. Install that version, or move the file away."""


class History:
    """The open history. notes: what a person should know about opening it (a damaged file that was set aside).

    no_room: why the file cannot be opened, on a disk without room for a new one, or "". Until `reopen` succeeds, the
    history is in memory, empty at first, and lost then.
    """

    def __init__(self, folder: Path, *, now: int) -> None:
        self.path = folder / FILE
        self.notes: list[str] = []
        self.no_room = ""
        self._connection: apsw.Connection
        self._series: dict[SeriesKey, tuple[int, int]]
        self._open(now)

    def close(self) -> None:
        """Closes the file and merges its write-ahead log."""
        self._connection.close()

    @contextmanager
    def round(self) -> Iterator[None]:
        """Makes all writes in the block one transaction: all are kept, or none if an exception leaves it."""
        known = dict(self._series)
        try:
            with self._connection:
                yield
        except BaseException:
            self._series = known
            raise

    def set_aside(self, now: int, why: str) -> None:
        """Moves a damaged file aside and starts a new one."""
        self._connection.close(force=True)
        self._move_aside(now, why)
        self._open(now)

    def reopen(self, now: int) -> bool:
        """Opens the file, if it is not open. Returns whether it did. Raises the errors in NO_ROOM."""
        if not self.no_room:
            return False
        opened = self._open_or_create(now)
        self._connection.close()
        (self._connection, self._series), self.no_room = opened, ""
        return True

    def add_values(self, target: str, subject: str, at: int, metrics: dict[str, float]) -> None:
        """Stores one observation's values."""
        rows = [(self._series_id((target, subject, metric), at), at, value) for metric, value in metrics.items()]
        self._connection.executemany(sql.VALUE_ADD, rows)

    def add_change(self, change: Change) -> None:
        """Stores one change."""
        row = (change.at, change.target, change.subject, change.kind, change.level, change.text)
        self._connection.execute(sql.CHANGE_ADD, row)

    def metrics(self, target: str, subject: str) -> tuple[str, ...]:
        """The metrics of a target that have history."""
        return tuple(sorted(key[2] for key in self._series if key[:2] == (target, subject)))

    def first(self, key: SeriesKey) -> int | None:
        """When a series began, in epoch ms; None if there is none."""
        known = self._series.get(key)
        return None if known is None else known[1]

    def values(self, key: SeriesKey, since: int, until: int) -> list[tuple[int, float]]:
        """(time, value) of a series, since <= time < until, oldest first."""
        return msgspec.convert(self._rows(sql.VALUE_WINDOW, key, since, until), list[tuple[int, float]])

    def oldest(self, key: SeriesKey) -> int | None:
        """The time of the oldest single value still kept of a series; None if there is none."""
        known = self._series.get(key)
        row = None if known is None else self._connection.execute(sql.VALUE_FIRST, (known[0],)).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def value_at(self, key: SeriesKey, at: int) -> float | None:
        """The last value at or before a time; None if there is none."""
        known = self._series.get(key)
        if known is None:
            return None
        row = self._connection.execute(sql.VALUE_LAST, (known[0], at)).fetchone()
        return None if row is None else float(row[1])

    def hours(self, key: SeriesKey, since: int, until: int) -> list[Hour]:
        """Hourly summaries, since <= hour number < until, oldest first."""
        rows = self._rows(sql.HOUR_WINDOW, key, since, until)
        return [msgspec.convert(dict(zip(Hour.__struct_fields__, row, strict=True)), Hour) for row in rows]

    def changes(self, since: int, until: int, most: int) -> list[Change]:
        """Changes after `since` up to `until`, newest first, at most `most`."""
        return [_change(row) for row in self._connection.execute(sql.CHANGE_WINDOW, (since, until, most))]

    def past_alerts(self, most: int) -> list[Change]:
        """The latest begins and ends of alerts, newest first, at most `most`."""
        return [_change(row) for row in self._connection.execute(sql.CHANGE_KINDS, (most,))]

    def load(self, key: str, of_type: type[Value], default: Value) -> Value:
        """A stored state; `default` if there is none, or an older version wrote it in another shape."""
        row = self._connection.execute(sql.STATE_GET, (key,)).fetchone()
        if row is None:
            return default
        try:
            return msgspec.json.decode(str(row[0]), type=of_type)
        except msgspec.MsgspecError:
            return default

    def save(self, key: str, value: object) -> None:
        """Stores a state under its key."""
        self._connection.execute(sql.STATE_PUT, (key, msgspec.json.encode(value).decode()))

    def load_all(self, prefix: str, of_type: type[Value]) -> dict[str, Value]:
        """All stored states whose key begins with `prefix`, by the rest of the key; unreadable ones are left out."""
        found: dict[str, Value] = {}
        for key, text in self._connection.execute(sql.STATE_PREFIX, (prefix, prefix)):
            try:
                found[str(key)[len(prefix) :]] = msgspec.json.decode(str(text), type=of_type)
            except msgspec.MsgspecError:
                continue
        return found

    def forget(self, key: str) -> None:
        """Removes a stored state."""
        self._connection.execute(sql.STATE_DROP, (key,))

    def tidy(self, now: int, *, keep_values_ms: int, keep_ms: int, most_bytes: int) -> None:
        """Summarises past hours, drops what is too old, and prunes to the size. Call it outside a round."""
        with self.round():
            self._summarise_hours(hour_number(now))
            self._connection.execute(sql.VALUE_DROP, (now - keep_values_ms,))
            self._connection.execute(sql.HOUR_DROP, (hour_number(now - keep_ms),))
            self._connection.execute(sql.CHANGE_DROP, (now - keep_ms,))
            self._connection.execute(sql.CHANGE_BOUND, (CHANGES_MOST,))
            self._connection.execute(sql.SERIES_EMPTY, (now - keep_values_ms,))
            self._series = _all_series(self._connection)
        self._prune_to(most_bytes)

    def used_bytes(self) -> int:
        """Bytes that the file uses, without free pages."""
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        return pages * self._pragma("page_size")

    def _summarise_hours(self, hour: int) -> None:
        """Summarises every whole hour since the last summarised one, which lies ahead if the clock did."""
        done = min(self.load("summed", int, 0), hour - 1)
        window = (HOUR_MS, (done + 1) * HOUR_MS, hour * HOUR_MS)
        for number in [int(str(row[0])) for row in self._connection.execute(sql.VALUE_HOURS, window)]:
            for key, (series, _) in self._series.items():
                values = [value for _, value in self.values(key, number * HOUR_MS, (number + 1) * HOUR_MS)]
                if values:
                    one = summarise(number, values)
                    self._connection.execute(
                        sql.HOUR_PUT, (series, number, one.count, one.least, one.most, one.mean, one.median, one.mad)
                    )
        self.save("summed", hour - 1)

    def _prune_to(self, most_bytes: int) -> None:
        """Drops the oldest quarter of the changes if they exceed their share, or else of the values and, if those are few,
        of the hours, until the file fits.
        """
        if self.used_bytes() <= most_bytes:
            return
        while self.used_bytes() > most_bytes * FREE_SHARE:
            with self.round():
                dropped = self._drop_changes(most_bytes * CHANGES_SHARE) or self._drop_values()
            if not dropped:
                break
        self._connection.execute("PRAGMA incremental_vacuum").fetchall()

    def _drop_values(self) -> int:
        """Drops the oldest quarter of the values, and of the hours if the values are few. Returns how many rows."""
        self._connection.execute(sql.VALUE_OLDEST_QUARTER)
        dropped = self._connection.changes()
        if dropped < VALUES_FEW:
            self._connection.execute(sql.HOUR_OLDEST_QUARTER)
            dropped += self._connection.changes()
        return dropped

    def _drop_changes(self, most_bytes: float) -> int:
        """Drops the oldest quarter of the changes if they take more than this. Returns how many rows."""
        row = self._connection.execute(sql.CHANGE_BYTES).fetchone()
        if row is None or float(row[0]) <= most_bytes:
            return 0
        self._connection.execute(sql.CHANGE_OLDEST_QUARTER)
        return self._connection.changes()

    def _rows(self, query: str, key: SeriesKey, since: int, until: int) -> "list[tuple[apsw.SQLiteValue, ...]]":
        known = self._series.get(key)
        return [] if known is None else list(self._connection.execute(query, (known[0], since, until)))

    def _series_id(self, key: SeriesKey, at: int) -> int:
        known = self._series.get(key)
        if known is None:
            self._connection.execute(sql.SERIES_ADD, (*key, at))
            known = self._series[key] = (self._connection.last_insert_rowid(), at)
        return known[0]

    def _pragma(self, name: str) -> int:
        row = self._connection.execute(f"PRAGMA {name}").fetchone()
        assert row is not None  # these pragmas always return a row
        return int(row[0])

    def _open(self, now: int) -> None:
        try:
            (self._connection, self._series), self.no_room = self._open_or_create(now), ""
        except NO_ROOM as error:
            self._connection, self._series = _create_tables(_connect(":memory:"))
            self.no_room = str(error)

    def _open_or_create(self, now: int) -> Opened:
        if not self.path.exists():
            return _create_tables(_connect(self.path))
        try:
            return self._open_existing()
        except (*DAMAGE, apsw.SQLError) as error:
            self._move_aside(now, str(error).splitlines()[0] or "damaged")
            return _create_tables(_connect(self.path))

    def _open_existing(self) -> Opened:
        """Opens the existing file. Raises the errors in DAMAGE, SQLError if it is another program's, HistoryTooNew."""
        connection = _connect(self.path)
        try:
            check = connection.execute("PRAGMA quick_check(1)").fetchone()
            version = connection.execute("PRAGMA user_version").fetchone()
            if version is not None and int(version[0]) > sql.VERSION:
                raise HistoryTooNew(
                    f"{self.path.name} is of version {version[0]}, this Hand knows {sql.VERSION}: "
                    "install the newer Hand again, or move the file away"
                )
            if version is None or version[0] == 0:
                return _create_tables(connection)
            if check is None or check[0] != "ok":
                raise apsw.CorruptError(str(check[0]) if check else "the check gave no answer")
            connection.execute(sql.STATE_PREFIX, ("", "")).fetchall()  # quick_check does not check texts, so read them
            return connection, _all_series(connection)
        except BaseException:
            connection.close(force=True)
            raise

    def _move_aside(self, now: int, why: str) -> None:
        aside = set_aside(self.path, now, most=SET_ASIDE_MOST)
        self.notes.append(f"the history was damaged ({why}); it was set aside as {aside} and a new one begun")


def _connect(path: Path | str) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(2_000)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()  # first, so that no shared-memory file is made
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # an existing file would have to be rewritten for it
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close(force=True)
        raise
    return connection


def _create_tables(connection: apsw.Connection) -> Opened:
    """Sets up a new file, or one that a kill left empty: tables and version in one commit. Raises SQLError if not empty."""
    try:
        with connection:
            connection.execute(sql.SCHEMA)
            connection.execute(f"PRAGMA application_id = {sql.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {sql.VERSION}")
    except BaseException:
        connection.close(force=True)
        raise
    return connection, {}


def _all_series(connection: apsw.Connection) -> dict[SeriesKey, tuple[int, int]]:
    return {
        (str(target), str(subject), str(metric)): (int(number), int(first))
        for number, target, subject, metric, first in connection.execute(sql.SERIES_ALL)
    }


def _change(row: "tuple[apsw.SQLiteValue, ...]") -> Change:
    return msgspec.convert(dict(zip(CHANGE_COLUMNS, row, strict=True)), Change)
