"""One memory file: opening, migrating, transactions, and what SQLite's errors mean (acts).

One connection writes; any number of further ones read (`reader`), each seeing what was committed when its statement began.
A commit is on the disk when it returns (WAL, synchronous = FULL). Transactions nest: an inner one that fails undoes itself
alone, so many callers' writes can share one commit, and one of them can be refused without the others.
What is deleted is overwritten in the file (secure_delete), and leaves the log as well when a write says `scrub`.
Used by one thread at a time; each reader too.
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
"""What SQLite's header says the file is: "Mnpl"."""

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
"""How SQLite says that a table is not there as it was made; every query of ours is of what a migration makes."""

Binding = None | int | float | str | bytes | apsw.zeroblob
Bindings = dict[str, Binding] | tuple[Binding, ...]
Row = tuple[int | float | str | bytes | None, ...]


class Reader:
    """A connection, and what can be read by it. now: the clock, microseconds since 1970."""

    def __init__(self, connection: apsw.Connection, now: Callable[[], int]) -> None:
        self.connection = connection
        self.now = now

    def rows(self, query: str, bindings: Bindings = ()) -> list[Row]:
        """What a query answers, all of it. Raises StoreError."""
        with sqlite_errors():
            return self.connection.execute(query, bindings).fetchall()

    def each(self, query: str, bindings: Bindings = ()) -> Iterator[Row]:
        """What a query answers, a row at a time. Raises StoreError."""
        with sqlite_errors():
            yield from self.connection.execute(query, bindings)

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Whatever is read within it was committed when the first of it was read, in however many statements."""
        with sqlite_errors(), self.connection:
            yield

    def close(self) -> None:
        """Give the connection up; with the last one, what lies in the write-ahead log goes into the file."""
        self.connection.close()


class Store(Reader):
    """An open file, which is written through. Raises StoreError when it cannot be opened or migrated."""

    def __init__(self, path: Path, *, now: Callable[[], int]) -> None:
        self.path = path
        log = path.with_name(f"{path.name}-wal")
        self._is_scrubbed = not log.exists()  # who was killed left it, with what he had not scrubbed
        with sqlite_errors():
            connection = _connected(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
            try:
                _migrate(connection, migrations())
            except BaseException:
                connection.close()
                raise
        super().__init__(connection, now)

    def scrub(self) -> None:
        """What is deleted in this write is to be gone from the disk: the file has zeros there, and the log is emptied."""
        self._is_scrubbed = False

    def reader(self) -> "Reader":
        """A further connection, which can only read; for a thread of its own."""
        with sqlite_errors():
            return Reader(_connected(self.path, apsw.SQLITE_OPEN_READONLY), self.now)

    @contextmanager
    def write(self) -> Iterator[None]:
        """All of it or nothing; on the disk when the outermost one is left. Raises StoreError."""
        failed: BaseException | None = None
        with sqlite_errors():
            try:
                with self.connection:  # one that is undone may have asked to scrub: that costs a little, and no more
                    try:
                        yield
                    except BaseException as error:
                        failed = error
                        raise
            except apsw.SQLError:
                if failed is None or self.connection.in_transaction:
                    raise
                raise failed from None  # SQLite has undone all of it by itself, as on a full disk: nothing is left to undo
            if not self._is_scrubbed and not self.connection.in_transaction:
                self._empty_log()

    def _empty_log(self) -> None:
        """Leave nothing in the write-ahead log. Where somebody reads from it, or the disk is full, at the next write."""
        self.connection.set_busy_timeout(0)
        try:
            with suppress(apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError):
                self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._is_scrubbed = True
        finally:
            self.connection.set_busy_timeout(BUSY_MS)


def schema_at(version: int) -> list[Row]:
    """What the first `version` migrations make, as schema_of() has it. Raises Damaged for more, or fewer, than there are."""
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
    """Every table, index, view and trigger of a file, in order, with the words that made it."""
    return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()


def reader_without_room(path: Path, now: Callable[[], int]) -> Reader:
    """What reads a file where the disk has no room for the index that connections share: the only one, as long as it is open.

    Such an index is kept in memory by who locks out all others (SQLite, wal.html, section 8). Raises StoreError.
    """
    with sqlite_errors():
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.pragma("locking_mode", "EXCLUSIVE")
        connection.pragma("query_only", True)
        return Reader(connection, now)


@contextmanager
def sqlite_errors() -> Iterator[None]:
    """SQLite's errors as what they mean to a caller; one that means a fault of ours goes through as it is.

    A name that the schema lacks, or has already, could be either: it is taken for damage.
    """
    try:
        yield
    except apsw.FullError:
        raise Full("the disk is full: free some space, then try again") from None
    except apsw.IOError as error:
        raise Full(f"the disk refuses: {error}") from None
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
    """Bring a file to today's schema: all steps that it lacks in one transaction, so whole or not at all."""
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
