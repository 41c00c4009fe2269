"""One memory file: opening, migration, transactions, and the translation of SQLite's errors (acts).

One connection writes; any number of others read (`reader`), each seeing what was committed when its statement began. A
commit is on disk when it returns (WAL, synchronous = FULL). Transactions nest: an inner one that fails is rolled back
alone, so many callers' writes can share one commit, and one of them can be refused without the others.
Deleted data is overwritten in the file (secure_delete), and removed from the write-ahead log if the write calls `scrub`.
A store, and each reader, is used by one thread at a time.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from memory.errors import Damaged, Full, Invalid
from memory.schema import migrations

APPLICATION: Final = 0x4D6E706C
"""The application id in SQLite's header: "Mnpl"."""

BUSY_MS: Final = 5_000

PRAGMAS: Final = (
    f"busy_timeout = {BUSY_MS}",
    "synchronous = FULL",
    "foreign_keys = ON",
    "secure_delete = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "temp_store = MEMORY",
    "cache_size = -8192",
    "mmap_size = 1073741824",
    "journal_size_limit = 16777216",
)
ANOTHER_SCHEMA: Final = re.compile(
    "no such (column|table|index|module|fts5 table)|fts5vocab: |vtable constructor failed|duplicate column name"
    "|(table|index|trigger|view) .* already exists|table .* has no column named|foreign key mismatch"
    "|unrecognized option|invalid fts5 file format|You have done transaction control .* which gives error"
)
"""SQLite's messages for a schema other than ours. Our queries only use what a migration makes."""

Binding = None | int | float | str | bytes | apsw.zeroblob
Bindings = dict[str, Binding] | tuple[Binding, ...]
Row = tuple[int | float | str | bytes | None, ...]


class Reader:
    """A connection for reading. now: the clock, microseconds since 1970."""

    def __init__(self, connection: apsw.Connection, now: Callable[[], int]) -> None:
        self.connection = connection
        self.now = now

    def rows(self, query: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows of a query. Raises StoreError."""
        with sqlite_errors():
            return self.connection.execute(query, bindings).fetchall()

    def each(self, query: str, bindings: Bindings = ()) -> Iterator[Row]:
        """Yield the rows of a query, one at a time. Raises StoreError."""
        with sqlite_errors():
            yield from self.connection.execute(query, bindings)

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Make all statements within it read the same snapshot: what was committed when the first of them began."""
        with sqlite_errors(), self.connection:
            yield

    def close(self) -> None:
        """Close the connection. The last one moves the write-ahead log into the file."""
        self.connection.close()


class Store(Reader):
    """An open file, for writing. Raises StoreError if it cannot be opened or migrated."""

    def __init__(self, path: Path, *, now: Callable[[], int]) -> None:
        self.path = path
        log = path.with_name(f"{path.name}-wal")
        self._is_scrubbed = not log.exists()  # a killed process leaves a log, perhaps with data to scrub
        with sqlite_errors():
            connection = _connected(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
            try:
                _migrate(connection, migrations())
            except BaseException:
                connection.close()
                raise
        super().__init__(connection, now)

    def scrub(self) -> None:
        """Remove what this write deletes from the disk: the file gets zeros in its place, and the log is emptied."""
        self._is_scrubbed = False

    def reader(self) -> "Reader":
        """Open another connection, for reading only, which another thread may use."""
        with sqlite_errors():
            return Reader(_connected(self.path, apsw.SQLITE_OPEN_READONLY), self.now)

    @contextmanager
    def write(self) -> Iterator[None]:
        """A transaction: all or nothing. On disk when the outermost one ends. Raises StoreError."""
        failed: BaseException | None = None
        with sqlite_errors():
            try:
                with self.connection:  # a rolled-back write may have called scrub: that costs little
                    try:
                        yield
                    except BaseException as error:
                        failed = error
                        raise
            except apsw.SQLError:
                if failed is None or self.connection.in_transaction:
                    raise
                raise failed from None  # SQLite has rolled back by itself, as on a full disk: nothing is left to undo
            if not self._is_scrubbed and not self.connection.in_transaction:
                self._empty_log()

    def _empty_log(self) -> None:
        """Empty the write-ahead log. If a reader uses it, or the disk is full, the next write tries again."""
        self.connection.set_busy_timeout(0)
        try:
            with suppress(apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError):
                self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._is_scrubbed = True
        finally:
            self.connection.set_busy_timeout(BUSY_MS)


def schema_at(version: int) -> list[Row]:
    """Return the schema after the first `version` migrations, as schema_of() does. Raises Damaged for an unknown version."""
    steps = migrations()
    if not 0 <= version <= len(steps):
        raise Damaged(f"it has schema {version}, and this version knows {len(steps)}: install a newer one")
    connection = apsw.Connection(":memory:")
    try:
        for step in steps[:version]:
            connection.execute(step)
        return schema_of(connection)
    finally:
        connection.close()


def schema_of(connection: apsw.Connection) -> list[Row]:
    """Return every table, index, view and trigger of a file, sorted, with the SQL that created it."""
    return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()


def reader_without_room(path: Path, now: Callable[[], int]) -> Reader:
    """Open a file for reading on a full disk. It must be the only connection, and excludes others while it is open.

    The disk has no room for the index of the log that connections share; an exclusive connection keeps that in memory
    (SQLite, wal.html, section 8). Raises StoreError.
    """
    with sqlite_errors():
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.pragma("locking_mode", "EXCLUSIVE")
        connection.pragma("query_only", True)
        return Reader(connection, now)


@contextmanager
def sqlite_errors() -> Iterator[None]:
    """Translate SQLite's errors into StoreErrors. Errors that show a bug of ours pass unchanged.

    A name that the schema lacks, or has already, could be either: it counts as damage.
    """
    try:
        yield
    except apsw.FullError:
        raise Full("the disk is full: free some space, then try again") from None
    except apsw.IOError as error:
        raise Full(f"the disk refuses: {error}") from None
    except apsw.CantOpenError as error:
        mend = "see their types, owners and modes, and if the disk has room"
        raise Damaged(f"the memory file, or its log, cannot be opened ({error}): {mend}") from None
    except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError) as error:
        if isinstance(error, apsw.SQLError) and not ANOTHER_SCHEMA.match(str(error)):
            raise
        raise Damaged(f"the memory file is damaged ({error}): `maniple memory verify` says what is damaged") from None
    except UnicodeDecodeError:
        raise Damaged("a text in the memory file is not Unicode: `maniple memory verify` says which") from None
    except apsw.TooBigError:
        raise Invalid("too large to be stored") from None


def _connected(path: Path, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags)
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if flags & apsw.SQLITE_OPEN_READWRITE:
            connection.pragma("journal_mode", "WAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: apsw.Connection, steps: tuple[str, ...]) -> None:
    """Migrate a file to the present schema: all missing steps in one transaction. Raises Damaged for another program's."""
    version = connection.pragma("user_version")
    if version > len(steps):
        raise Damaged(f"the memory file has schema {version}, and this version knows {len(steps)}: install a newer one")
    if connection.pragma("application_id") != APPLICATION and not _is_empty(connection):
        raise Damaged("the file is some other program's database: nothing of it was touched")
    if version == len(steps):
        return
    with connection:
        for step in steps[version:]:
            connection.execute(step)
        connection.pragma("application_id", APPLICATION)
        connection.pragma("user_version", len(steps))


def _is_empty(connection: apsw.Connection) -> bool:
    return not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
