"""SQLite sources and targets, as files in the scratch folder (acts): a source is read, a target changed in one transaction.

A file from elsewhere is assumed hostile: its schema is not trusted, extensions are off, and a source is opened read-only.
Only this module and pipeline_scratch.py use apsw.
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
"""The declared types of a new table's columns."""

_AFFINITIES: Final = (
    ("INT", "INTEGER"), ("CHAR", "TEXT"), ("CLOB", "TEXT"), ("TEXT", "TEXT"), ("BLOB", "BLOB"), ("REAL", "REAL"),
    ("FLOA", "REAL"), ("DOUB", "REAL"),
)  # fmt: skip
"""SQLite's affinity of a declared type: that of the first of these in it, else NUMERIC."""

REJECTED: Final = "_rejected"
"""Suffix of the name of the table with a table's rejected rows."""

_WRONG: Final = (apsw.Error, UnicodeDecodeError)
"""Errors of a damaged file; names in it may not be UTF-8."""

_REFUSED: Final = (apsw.ConstraintError, apsw.MismatchError)
"""Errors of a row that its table does not take. MismatchError: a text as the number of a row, its INTEGER PRIMARY KEY."""

_NOTHING: Final = "NOTHING"
_IGNORING: Final = re.compile(r"\bIGNORE\b", re.IGNORECASE)

_REJECT_COLUMNS: Final = {
    "source": "TEXT", "row": "INTEGER", "column": "TEXT", "code": "TEXT", "reason": "TEXT", "raw": "TEXT",
    "loaded": "TEXT",
}  # fmt: skip
"""In the order of RejectStore.rows."""


def check_header(path: Path, shown: str) -> bool:
    """Whether the file is in WAL mode. Raises JobFailed if it is not an SQLite database; an empty file is one."""
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
        for name in sorted(tables, key=lambda name: name != table):  # SQLite tells É from é
            if name.casefold() == table.casefold():
                return name
        what = f'has no table "{table}"' if table else f"has {len(tables)} tables, and source.table names none"
        raise JobFailed("source", f"{self._shown} {what}. {did_you_mean(table, tables)}")

    def records(self) -> Iterator[Records]:
        """Yields all rows. Raises JobFailed for a damaged page, or for a text that is not UTF-8."""
        number = 0
        try:
            for rows in batched(self._rows, _characters):
                yield Records(range(number + 1, number + len(rows) + 1), rows)
                number += len(rows)
        except MemoryError:
            why = "need more memory than a job has"
            raise JobFailed("source", f"{self._shown}: the rows after row {number} {why}.") from None
        except apsw.Error as error:
            raise JobFailed("source", f"{self._shown} is damaged after row {number}: {error}") from None
        except UnicodeDecodeError as error:
            raise JobFailed(
                "source", f"{self._shown} has a text after row {number} that is not UTF-8: {error}"
            ) from None

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()


def _characters(rows: Sequence[Sequence[object]]) -> int:
    """The characters of text in rows, any value of which may be a text."""
    return sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))


def _conversion_note(kind: Kind, declared: str) -> str:
    """How an existing column changes values of a kind; "" if it keeps them (SQLite, "Type Affinity", §3.1)."""
    found = next((affinity for part, affinity in _AFFINITIES if part in declared.upper()), "NUMERIC")
    if not declared or found in ("TEXT", "BLOB") or kind in ("bool", "date", "datetime", "float"):
        return ""
    if kind == "text":
        return "texts that look like numbers become numbers in it: 007 becomes 7"
    if kind == "decimal":
        return "keeps some 15 digits of a decimal"
    return "keeps whole numbers beyond 2^53 as the nearest that it has" if found == "REAL" else ""


class DatabaseTarget:
    """A copied or new database, changed in one transaction. It is worthless until `commit` has returned."""

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
        """A sink for a table, which is made or checked as the mode says. Raises JobFailed("target")."""
        self._tables.append(name)
        try:
            sink = TableSink(self._connection, self._shown, name, columns, mode, key)
            self.notes += sink.notes
            return sink
        except _WRONG as error:
            raise JobFailed("target", f'{self._shown}: table "{name}": {error}') from None

    def keep_rejects(self, table: str, rejects: Iterable[tuple[Value, ...]], *, fresh: bool, some: bool) -> None:
        """Writes rejected rows beside the table. fresh: delete those of earlier runs. some: there are rejected rows now.

        A table of that name with other columns is not ours and is never touched.
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
        """Commits and checks the whole file. Raises JobFailed("target"); the file is then worthless."""
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
        """Closes the database; without a commit, all changes are lost."""
        self._connection.close()


class TableSink:
    """Writes rows into one table. Rows that its constraints refuse are rejected."""

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
        self._may_ignore = not self._insert.endswith(_NOTHING) and self._may_skip_rows()

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
            if why := _conversion_note(column.kind, declared):
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
            index = quoted(f"{self._table}({keys})")  # a name that no other table and key has
            self._connection.execute(f"CREATE UNIQUE INDEX {index} ON {quoted(self._table)} ({keys})")
        return sql

    def _is_possible(self, sql: str) -> bool:
        """Whether SQLite accepts the statement: an upsert needs a unique index on its key."""
        try:
            self._connection.execute(f"EXPLAIN {sql}", [None] * len(self._columns)).fetchall()
        except apsw.SQLError:
            return False
        return True

    def write(self, batch: Batch, ledger: Ledger) -> None:
        """Writes the batch; sends refused rows to the ledger."""
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
        except _REFUSED as error:
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
        """Writes one row. Returns why the table refuses it, or ""."""
        why = ""
        self._connection.execute("SAVEPOINT one")  # a trigger with RAISE(FAIL) leaves the refused row behind
        try:
            self._connection.execute(self._insert, values)
            if self._may_ignore and not self._connection.changes():
                why = f'table "{self._table}" leaves it out: IGNORE stands in its rules or triggers'
                self._connection.execute("ROLLBACK TO one")  # undoes what a trigger did before RAISE(IGNORE)
        except _REFUSED as error:
            self._undo("one", error)
            why = f'table "{self._table}" refuses it: {error}'
        except apsw.Error as error:
            raise JobFailed("target", f'table "{self._table}": {error}') from None
        self._connection.execute("RELEASE one")
        return why

    def _undo(self, savepoint: str, error: apsw.Error) -> None:
        """Rolls back to a savepoint. Raises JobFailed if a rule of the table has ended the whole transaction."""
        if not self._connection.in_transaction:
            what = "refuses a row and ends the whole transaction, for ROLLBACK stands in its rules or triggers"
            raise JobFailed("target", f'table "{self._table}" {what}: {error}') from None
        self._connection.execute(f"ROLLBACK TO {savepoint}")

    def _may_skip_rows(self) -> bool:
        """Whether the table may silently skip a row, by a rule `ON CONFLICT IGNORE` or a trigger."""
        found = self._connection.execute(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ? COLLATE NOCASE", (self._table,)
        ).fetchall()
        return any(_IGNORING.search(str(sql)) for (sql,) in found)
