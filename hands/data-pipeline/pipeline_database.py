"""SQLite files in the scratch folder (acts): a copied source is read, a copied target is changed in one transaction.

A file from elsewhere is hostile until shown otherwise: its schema is not trusted, extensions are off, and it is opened
read-only where it is a source. Only this module and pipeline_scratch.py know apsw.
"""

# ruff: noqa: S608  names in SQL are numbered here or go through `quoted`; values are always bound

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import apsw

from pipeline_errors import JobFailed, did_you_mean
from pipeline_rows import Batch, Column, Kind, Ledger, Records, Reject, Value, batched
from pipeline_scratch import quoted
from pipeline_spec import Mode
from pipeline_values import plain_column

MAGIC: Final = b"SQLite format 3\0"
_DECLARED: Final[dict[Kind, str]] = {
    "int": "INTEGER", "float": "REAL", "decimal": "TEXT", "bool": "BOOLEAN", "date": "TEXT", "datetime": "TEXT",
    "text": "TEXT",
}  # fmt: skip
"""How a new table declares its columns."""

_AFFINITIES: Final = (
    ("INT", "INTEGER"), ("CHAR", "TEXT"), ("CLOB", "TEXT"), ("TEXT", "TEXT"), ("BLOB", "BLOB"), ("REAL", "REAL"),
    ("FLOA", "REAL"), ("DOUB", "REAL"),
)  # fmt: skip
"""What SQLite makes of a declared type, by the first of these that stands in it; else it is NUMERIC."""

REJECTED: Final = "_rejected"
"""What follows a table's name in the name of the table with its rejected rows."""

_WRONG: Final = (apsw.Error, UnicodeDecodeError)
"""What a damaged file raises; names in it may be no text."""

_NOTHING: Final = "NOTHING"
_IGNORING: Final = re.compile(r"\bIGNORE\b", re.IGNORECASE)

_REJECT_COLUMNS: Final = {
    "source": "TEXT", "row": "INTEGER", "column": "TEXT", "code": "TEXT", "reason": "TEXT", "raw": "TEXT",
    "loaded": "TEXT",
}  # fmt: skip
"""As RejectStore.rows gives them."""


def check_header(path: Path, shown: str) -> bool:
    """Whether the file is in WAL mode. Raises JobFailed for a file that is no SQLite database; an empty one is."""
    with path.open("rb") as file:
        head = file.read(100)
    if head and not head.startswith(MAGIC):
        raise JobFailed("source", f"{shown} is not an SQLite database.")
    return head[18:20] == b"\2\2"


def _open(path: Path, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.execute("PRAGMA temp_store=FILE")
    connection.execute("PRAGMA cell_size_check=ON")
    return connection


class DatabaseSource:
    """One table or view of a copied database. names: its columns."""

    def __init__(self, path: Path, table: str, shown: str) -> None:
        check_header(path, shown)
        self._shown = shown
        try:
            self._connection = _open(path, apsw.SQLITE_OPEN_READONLY)
            self._table = self._chosen(table)
            cursor = self._connection.execute(f"SELECT * FROM {quoted(self._table)}")
            names = self._connection.execute(f"PRAGMA table_xinfo({quoted(self._table)})").fetchall()
            self.names = tuple(str(row[1]) for row in names if row[6] != 1)
        except _WRONG as error:
            raise JobFailed("source", f"{shown}: {error}") from None
        self._rows = iter(cursor)

    def _chosen(self, table: str) -> str:
        found = self._connection.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        ).fetchall()
        names = [str(row[0]) for row in found]
        beside = {name + REJECTED for name in names}
        tables = [name for name in names if table or name not in beside]
        if not table and len(tables) == 1:
            return tables[0]
        for name in tables:
            if name.casefold() == table.casefold():
                return name
        what = f'has no table "{table}"' if table else f"has {len(tables)} tables, and source.table names none"
        raise JobFailed("source", f"{self._shown} {what}. {did_you_mean(table, tables)}")

    def records(self) -> Iterator[Records]:
        """All rows. A damaged page ends the job, and so does a text that is not UTF-8, since SQLite gives no half a row."""
        number = 0
        try:
            for rows in batched(self._rows, _characters):
                yield Records(range(number + 1, number + len(rows) + 1), rows)
                number += len(rows)
        except apsw.Error as error:
            raise JobFailed("source", f"{self._shown} is damaged after row {number}: {error}") from None
        except UnicodeDecodeError as error:
            raise JobFailed(
                "source", f"{self._shown} has a text after row {number} that is not UTF-8: {error}"
            ) from None

    def close(self) -> None:
        """Ends it."""
        self._connection.close()


def _characters(rows: Sequence[Sequence[object]]) -> int:
    """How much there is in the texts of rows, of which any value may be one."""
    return sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))


def _changes(kind: Kind, declared: str) -> str:
    """What a column that is there makes of values of a kind, "" where it keeps them (SQLite, "Type Affinity", §3.1)."""
    found = next((affinity for part, affinity in _AFFINITIES if part in declared.upper()), "NUMERIC")
    if not declared or found in ("TEXT", "BLOB") or kind in ("bool", "date", "datetime", "float"):
        return ""
    if kind == "text":
        return "texts that look like numbers become numbers in it: 007 becomes 7"
    if kind == "decimal":
        return "keeps some 15 digits of a decimal"
    return "keeps whole numbers beyond 2^53 as the nearest that it has" if found == "REAL" else ""


class DatabaseTarget:
    """A copied or new database, changed in one transaction: nothing of it counts until `commit` returned."""

    def __init__(self, path: Path, shown: str) -> None:
        self._path, self._shown = path, shown
        self._tables: list[str] = []
        self.notes: list[str] = []
        try:
            self._wal = path.exists() and check_header(path, shown)
            self._connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
            for pragma in ("journal_mode=MEMORY", "synchronous=OFF", "cache_size=-16384", "foreign_keys=OFF"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            self._loose = self._connection.execute("PRAGMA foreign_key_check").fetchall()
            self._connection.execute("BEGIN IMMEDIATE")
        except JobFailed as failed:
            raise JobFailed("target", failed.text) from None
        except _WRONG as error:
            raise JobFailed("target", f"{shown} cannot be opened: {error}") from None

    def table(self, name: str, columns: Sequence[Column], mode: Mode, key: Sequence[str]) -> "TableSink":
        """A table to write to, made or checked as the mode says. Raises JobFailed("target")."""
        self._tables.append(name)
        try:
            sink = TableSink(self._connection, self._shown, name, columns, mode, key)
            self.notes += sink.notes
            return sink
        except _WRONG as error:
            raise JobFailed("target", f'{self._shown}: table "{name}": {error}') from None

    def keep_rejects(self, table: str, rejects: Iterable[tuple[Value, ...]], *, fresh: bool, some: bool) -> None:
        """Writes rejected rows beside the table. fresh: those of earlier runs go; some: there are any now.

        A table of that name that has other columns is somebody else's, and is never touched.
        """
        name = quoted(table + REJECTED)
        try:
            rows = self._connection.execute(f"PRAGMA table_info({name})").fetchall()
            theirs = [row[1] for row in rows] not in ([], list(_REJECT_COLUMNS))
            if theirs and some:
                raise JobFailed(
                    "target", f'{self._shown}: "{table}{REJECTED}" is needed, and is another table. Rename it.'
                )
            if fresh and rows and not theirs:
                self._connection.execute(f"DROP TABLE {name}")
            if not some:
                return
            fields = ", ".join(f"{quoted(field)} {kind}" for field, kind in _REJECT_COLUMNS.items())
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({fields})")
            self._connection.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?)", rejects)
        except _WRONG as error:
            raise JobFailed("target", f'{self._shown}: table "{table}{REJECTED}": {error}') from None

    def commit(self) -> None:
        """Ends the transaction and checks the whole file. Raises JobFailed("target"), and then it is worth nothing."""
        try:
            loose = self._connection.execute("PRAGMA foreign_key_check").fetchall()
            if len(loose) > len(self._loose):
                raise JobFailed(
                    "target", f"{self._shown}: rows of table {loose[-1][0]} would refer to rows that are gone."
                )
            self._connection.execute("COMMIT")
            sound = self._connection.execute("PRAGMA integrity_check(5)").fetchall()
            if sound != [("ok",)]:
                raise JobFailed("target", f"{self._shown} is damaged: {sound[0][0]}")
            if self._wal:
                self._connection.execute("PRAGMA journal_mode=WAL").fetchall()
        except _WRONG as error:
            raise JobFailed("target", f"{self._shown}: {error}") from None
        finally:
            self._connection.close()

    def close(self) -> None:
        """Ends it without a commit, if there was none."""
        self._connection.close()


class TableSink:
    """Writes rows into one table; rows that its constraints refuse are rejected one by one."""

    def __init__(
        self,
        connection: apsw.Connection,
        shown: str,
        table: str,
        columns: Sequence[Column],
        mode: Mode,
        key: Sequence[str],
    ) -> None:
        self.written = 0
        self.notes: list[str] = []
        self._connection, self._columns, self._table = connection, tuple(columns), table
        there = connection.execute("SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE", (table,)).fetchall()
        if there and there[0][0] != "table":
            raise JobFailed("target", f'{shown}: "{table}" is a {there[0][0]}, not a table. Choose another name.')
        if there and mode == "create":
            mend = 'Write mode = "append", "replace" or "upsert", or another table.'
            raise JobFailed("target", f'{shown} has a table "{table}" already. {mend}')
        if there and mode == "replace":
            connection.execute(f"DROP TABLE {quoted(table)}")
            there = []
        if there:
            self._check_columns(shown)
        else:
            self._create()
        self._insert = self._insert_sql(mode, key)
        self._may_ignore = not self._insert.endswith(_NOTHING) and self._leaves_out()

    def _create(self) -> None:
        names = Counter(column.name.casefold() for column in self._columns)
        for column in self._columns:
            if names[column.name.casefold()] > 1:
                raise JobFailed("target", f'column names of SQLite do not differ by case: rename "{column.name}".')
        fields = ", ".join(f"{quoted(column.name)} {_DECLARED[column.kind]}" for column in self._columns)
        self._connection.execute(f"CREATE TABLE {quoted(self._table)} ({fields})")

    def _check_columns(self, shown: str) -> None:
        rows = self._connection.execute(f"PRAGMA table_xinfo({quoted(self._table)})").fetchall()
        there = {str(row[1]).casefold(): row for row in rows}
        names = dict.fromkeys(column.name.casefold() for column in self._columns)
        problems = [
            f'it has no column "{column.name}". {did_you_mean(column.name, [str(row[1]) for row in rows])}'
            for column in self._columns if column.name.casefold() not in there
        ]  # fmt: skip
        problems += [
            f'its column "{row[1]}" needs a value, and the rows have no such column.'
            for name, row in there.items() if name not in names and row[3] and row[4] is None and not row[5]
        ]  # fmt: skip
        problems += [
            f'its column "{there[name][1]}" is generated.' for name in names if name in there and there[name][6]
        ]
        if problems:
            raise JobFailed("target", f'{shown}: table "{self._table}" does not fit: {" ".join(problems)}')
        for column in self._columns:
            declared = str(there[column.name.casefold()][2])
            if why := _changes(column.kind, declared):
                self.notes.append(f'Column "{column.name}" of table "{self._table}" is {declared}, and {why}.')

    def _insert_sql(self, mode: Mode, key: Sequence[str]) -> str:
        names = ", ".join(quoted(column.name) for column in self._columns)
        sql = f"INSERT INTO {quoted(self._table)} ({names}) VALUES ({', '.join('?' * len(self._columns))})"
        if mode != "upsert":
            return sql
        keys = ", ".join(map(quoted, key))
        others = [quoted(column.name) for column in self._columns if column.name not in key]
        changes = ", ".join(f"{name} = excluded.{name}" for name in others)
        sql += f" ON CONFLICT ({keys}) DO " + (f"UPDATE SET {changes}" if changes else _NOTHING)
        if not self._is_possible(sql):
            index = quoted(f"{self._table}({keys})")  # of no other table and key
            self._connection.execute(f"CREATE UNIQUE INDEX {index} ON {quoted(self._table)} ({keys})")
        return sql

    def _is_possible(self, sql: str) -> bool:
        """Whether SQLite can do it: for an upsert, whether anything keeps the rows' keys apart."""
        try:
            self._connection.execute(f"EXPLAIN {sql}", [None] * len(self._columns)).fetchall()
        except apsw.SQLError:
            return False
        return True

    def write(self, batch: Batch, ledger: Ledger) -> None:
        """All rows of the batch but those that the table refuses."""
        columns = [
            plain_column(column.kind, values) for column, values in zip(self._columns, batch.columns, strict=True)
        ]
        if self._may_ignore:
            self._one_by_one(batch, columns, ledger)
            return
        self._connection.execute("SAVEPOINT batch")
        try:
            self._connection.executemany(self._insert, zip(*columns, strict=True))
            self.written += batch.size
        except apsw.ConstraintError as error:
            self._undo("batch", error)
            self._one_by_one(batch, columns, ledger)
        except apsw.Error as error:
            raise JobFailed("target", f'table "{self._table}": {error}') from None
        self._connection.execute("RELEASE batch")

    def _one_by_one(self, batch: Batch, columns: Sequence[Sequence[Value]], ledger: Ledger) -> None:
        for row, values in enumerate(zip(*columns, strict=True)):
            why = self._refusal(values)
            if why:
                ledger.reject(Reject(batch.numbers[row], "", "constraint", why, batch.raw(row, self._columns)))
            else:
                self.written += 1

    def _refusal(self, values: tuple[Value, ...]) -> str:
        """Writes one row; why the table does not take it, or ""."""
        why = ""
        self._connection.execute("SAVEPOINT one")  # a trigger that says FAIL leaves behind what it refuses
        try:
            self._connection.execute(self._insert, values)
            if self._may_ignore and not self._connection.changes():
                why = f'table "{self._table}" leaves it out: IGNORE stands in its rules or triggers'
                self._connection.execute("ROLLBACK TO one")  # what a trigger did before it said so
        except apsw.ConstraintError as error:
            self._undo("one", error)
            why = f'table "{self._table}" refuses it: {error}'
        except apsw.Error as error:
            raise JobFailed("target", f'table "{self._table}": {error}') from None
        self._connection.execute("RELEASE one")
        return why

    def _undo(self, savepoint: str, error: apsw.Error) -> None:
        """Back to a savepoint. Raises JobFailed where the table's own rule has ended the transaction around it."""
        if not self._connection.in_transaction:
            what = "refuses a row and ends the whole transaction, for ROLLBACK stands in its rules or triggers"
            raise JobFailed("target", f'table "{self._table}" {what}: {error}') from None
        self._connection.execute(f"ROLLBACK TO {savepoint}")

    def _leaves_out(self) -> bool:
        """Whether the table may leave a row out without a word: by a rule `ON CONFLICT IGNORE`, or a trigger."""
        found = self._connection.execute(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ? COLLATE NOCASE", (self._table,)
        ).fetchall()
        return any(_IGNORING.search(str(sql)) for (sql,) in found)
