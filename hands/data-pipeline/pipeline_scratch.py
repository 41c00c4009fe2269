"""The scratch database (acts, on one file in the run's scratch folder): holds rows that must wait for others.

Sorting, grouping, joining and remembering keys need all rows at once; SQLite keeps them on disk and in a cache of fixed
size, so memory does not grow with the input. The file has no journal: it dies with the run. Decimals are stored as text
under the collation `exact`, which compares their values; every other type compares as it is.
"""

# ruff: noqa: S608  names in SQL are numbered here or go through `quoted`; values are always bound

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import inf, isfinite, sqrt
from typing import Final

import apsw

from pipeline_errors import JobFailed
from pipeline_rows import Batch, Column, Kind, Value, batched, characters
from pipeline_values import EXACT, settled

SCRATCH_FAULT: Final = apsw.Error
"""Raised on a full or broken disk; ends the job."""

COLUMNS_MAX: Final = 1_990
"""Most columns of rows that wait: SQLite's tables have at most 2,000."""

_FEWER: Final = f'Select those that are needed before: sort, join, aggregate and keep = "last" take {COLUMNS_MAX}.'

CACHE_KIB: Final = 16 * 1024
"""Memory that the scratch database may use for pages, in KiB."""


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def declared(kind: Kind) -> str:
    """The declaration of a column of this kind in the scratch database: without affinity, so that nothing is converted."""
    return 'COLLATE "exact"' if kind == "decimal" else ""


def stored(kind: Kind, values: Sequence[Value]) -> Sequence[Value]:
    """A column's values as the scratch database stores them."""
    match kind:
        case "bool":
            return [None if value is None else int(value) for value in values]  # type: ignore[arg-type]  # bools
        case "decimal":
            return [None if value is None else str(value) for value in values]
        case "date":
            return [value.isoformat() if isinstance(value, date) else None for value in values]
        case "datetime":
            return [
                value.isoformat(timespec="microseconds") if isinstance(value, datetime) else None for value in values
            ]
        case _:
            return values


def restored(kind: Kind, values: Iterable[Value]) -> list[Value]:
    """The inverse of `stored`."""
    match kind:
        case "bool":
            return [None if value is None else bool(value) for value in values]
        case "decimal":
            return [None if value is None else Decimal(str(value)) for value in values]
        case "date":
            return [None if value is None else date.fromisoformat(str(value)) for value in values]
        case "datetime":
            return [None if value is None else datetime.fromisoformat(str(value)) for value in values]
        case "float":
            return [None if value is None else float(value) for value in values]  # type: ignore[arg-type]  # numbers
        case _:
            return list(values)


class Scratch:
    """The scratch database's connection; makes its tables."""

    def __init__(self, path: str) -> None:
        self._connection = apsw.Connection(path)
        self._connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE_KIB}", "temp_store=FILE"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._connection.create_collation("exact", _exact)
        for name, aggregate in (("stddev", _Deviation), ("exact_sum", _ExactSum), ("exact_mean", _ExactMean)):
            self._connection.create_aggregate_function(name, aggregate, 1)
        self._connection.execute("BEGIN")
        self._tables = 0

    def table(self, columns: Sequence[Column], *, unique: Sequence[int] = ()) -> "Stage":
        """Makes a table for rows of these columns. unique: places of the columns that identify a row. Raises JobFailed."""
        if len(columns) > COLUMNS_MAX:
            raise JobFailed("step", f"{len(columns)} columns are too many to wait for each other. {_FEWER}")
        self._tables += 1
        return Stage(self._connection, f"t{self._tables}", columns, unique)

    def seen(self) -> "Seen":
        """Makes a set of keys."""
        self._tables += 1
        return Seen(self._connection, f"t{self._tables}")

    def close(self) -> None:
        """Closes the database; the file is worthless afterwards."""
        self._connection.close()


class Stage:
    """Rows of some columns in the scratch database: `n` is the row id, `c0`… the columns, `number` the source's row."""

    def __init__(
        self, connection: apsw.Connection, name: str, columns: Sequence[Column], unique: Sequence[int]
    ) -> None:
        self.name = name
        self.columns = tuple(columns)
        self._connection = connection
        fields = "".join(f", c{place} {declared(column.kind)}" for place, column in enumerate(columns))
        connection.execute(f"CREATE TABLE {name} (n INTEGER PRIMARY KEY, number INTEGER{fields})")
        if unique:
            connection.execute(f"CREATE UNIQUE INDEX u_{name} ON {name} ({', '.join(f'c{at}' for at in unique)})")
        marks = ", ".join("?" * (len(self.columns) + 1))
        self._names = "".join(f", c{place}" for place in range(len(self.columns)))
        self._insert = f"INTO {name} (number{self._names}) VALUES ({marks})"

    def add(self, batch: Batch) -> None:
        """Appends rows."""
        self._connection.executemany(f"INSERT {self._insert}", self._rows(batch))

    def replace(self, batch: Batch) -> None:
        """Appends rows; each replaces an earlier one with the same unique columns."""
        self._connection.executemany(f"INSERT OR REPLACE {self._insert}", self._rows(batch))

    def index(self, places: Sequence[int]) -> None:
        """Makes an index on these columns."""
        self._connection.execute(f"CREATE INDEX i_{self.name} ON {self.name} ({', '.join(f'c{at}' for at in places)})")

    def rows(self, sql: str, bindings: Sequence[Value] = ()) -> Iterator[tuple[Value, ...]]:
        """The rows of a query, in which `{t}` stands for this table."""
        return iter(self._connection.execute(sql.replace("{t}", self.name), tuple(bindings)))

    def batches(self, order: str = "n") -> Iterator[Batch]:
        """All rows as batches, ordered by `order`."""
        found = self.rows(f"SELECT number{self._names} FROM {{t}} ORDER BY {order}")
        kinds = [column.kind for column in self.columns]
        texts = [place for place, kind in enumerate(kinds, 1) if kind == "text"]
        for rows in batched(found, lambda some: characters(some, texts)):
            numbers, *columns = zip(*rows, strict=True)
            restored_columns = [restored(kind, values) for kind, values in zip(kinds, columns, strict=True)]
            yield Batch(restored_columns, numbers)

    def drop(self) -> None:
        """Drops the table, so that its room can be used again."""
        self._connection.execute(f"DROP TABLE {self.name}")

    def _rows(self, batch: Batch) -> Iterable[tuple[Value, ...]]:
        columns = [stored(column.kind, values) for column, values in zip(self.columns, batch.columns, strict=True)]
        return zip(batch.numbers, *columns, strict=True)


class Seen:
    """A set of keys on disk."""

    def __init__(self, connection: apsw.Connection, name: str) -> None:
        self._connection = connection
        self._add = f"INSERT OR IGNORE INTO {name} VALUES (?, ?) RETURNING at"
        connection.execute(f"CREATE TABLE {name} (key PRIMARY KEY, at) WITHOUT ROWID")

    def new(self, keys: Sequence[Value]) -> list[bool]:
        """Adds keys, none of them None. Returns for each whether it is new."""
        chosen = [False] * len(keys)
        for (at,) in self._connection.executemany(self._add, zip(keys, range(len(keys)), strict=True)):
            chosen[at] = True
        return chosen


# missing in SQLite -------------------------------------------------------------------------------------------------


def _exact(left: str, right: str) -> int:
    one, other = Decimal(left), Decimal(right)
    return (one > other) - (one < other)


class _Deviation:
    """Sample standard deviation (n - 1) by Welford's method; no value for fewer than two values."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def step(self, *values: object) -> None:
        if values[0] is None:
            return
        number = float(str(values[0]))
        self.count += 1
        away = number - self.mean
        self.mean += away / self.count
        self.squares += away * (number - self.mean)

    def final(self) -> float | None:
        if self.count < 2:
            return None
        return sqrt(self.squares / (self.count - 1)) if isfinite(self.squares) else inf


class _ExactSum:
    def __init__(self) -> None:
        self.count, self.total = 0, Decimal(0)

    def step(self, *values: object) -> None:
        if values[0] is not None:
            self.count += 1
            self.total = EXACT.add(self.total, Decimal(str(values[0])))

    def final(self) -> str | None:
        return str(self.total) if self.count else None


class _ExactMean(_ExactSum):
    def final(self) -> str | None:
        return str(settled(EXACT.divide(self.total, Decimal(self.count)))) if self.count else None
