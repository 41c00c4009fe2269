"""A Hand's own SQLite file (acts), made once there is something to store and room for it; until then an empty one in memory.

Here since Hands with one table each, `plan` and `report`, import none of each other; `monitoring` and `scheduling`, which
store much more, use only `set_aside`. Used from one thread. A write is on disk when it returns; each is one statement, so
there is nothing to undo: on a full disk SQLite does that itself. A file that is damaged or another program's is set aside,
never deleted, and a new one is started: otherwise its Hand could never start.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from runtime.errors import HandBroken

_PRAGMAS: Final = ("busy_timeout = 5000", "locking_mode = exclusive", "journal_mode = wal", "synchronous = full")
"""With exclusive locking the write-ahead log's index is in memory, so the file can be read on a full disk."""

NO_ROOM: Final = (apsw.FullError, apsw.IOError, apsw.CantOpenError)
DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, UnicodeDecodeError)
"""UnicodeDecodeError: a wrong byte in a text, which SQLite does not check."""


class TableFile:
    """One file. schema: statements that make its tables if they are missing. connection: to the file, or to memory until the
    file is made.

    notes: what a person should know about opening it.
    """

    def __init__(self, path: Path, schema: str, begin: Callable[[], None] = lambda: None) -> None:
        """Opens it, or starts in memory if the disk has no room for its tables. Raises HandBroken if it cannot be opened.

        begin: called before the tables of an empty file are made, and not after: a kill in between would leave a file that
        seems to be an old one.
        """
        self._path, self._schema, self._begin = path, schema, begin
        self.notes = list[str]()
        try:
            self._open()
        except DAMAGE as error:
            aside = set_aside(path, time.time_ns() // 1_000_000)
            self.notes.append(f"what was kept was damaged ({error}); it was set aside as {aside}, and a new file begun")
            self._open()

    def _open(self) -> None:
        path, schema = self._path, self._schema
        self._is_made = True
        try:
            self.connection = _opened(path, schema, self._begin)
        except NO_ROOM as error:
            if not _is_empty(path):
                raise HandBroken(
                    f"{path}, or its log {path.name}-wal, cannot be opened ({error}), so nothing in it can be read or "
                    "changed: see their types, owners and modes, and that the disk works; or move both away, and an empty "
                    "file is begun"
                ) from None
            self._is_made = False
            self.connection = _opened(":memory:", schema, self._begin)

    def make(self) -> None:
        """Makes the file, unless it exists: call this before anything is stored. Raises the errors in NO_ROOM."""
        if not self._is_made:
            made = _opened(self._path, self._schema, lambda: None)
            self.connection.close()
            self.connection, self._is_made = made, True

    def execute(self, statement: str, values: "tuple[apsw.SQLiteValue, ...]" = ()) -> apsw.Cursor:
        """Executes a statement. May raise the errors in NO_ROOM."""
        return self.connection.execute(statement, values)

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()


def why_not(path: Path, error: object) -> str:
    """Why a file can be neither read nor written, after one of the errors in NO_ROOM, and what to do."""
    return (
        f"{error}; make room on its disk if that is full, else see type, owner and mode of {path} and {path.name}-wal"
    )


def set_aside(path: Path, now: int, *, most: int | None = None) -> str:
    """Renames a file with SQLite's files beside it, or a folder, so that nothing is lost. Returns its new name.

    now: in milliseconds. most: how many of that name are kept, so that a bad disk does not fill up; None for all.
    """
    aside = f"{path.name}.damaged-{now}"
    for suffix in ("-wal", "-shm", "-journal", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(aside + suffix))
    if most is not None:
        _keep_last(path, most)
    return aside


def problems_of(folder: Path) -> list[str]:
    """A sentence for each file or folder that set_aside() renamed and that is still there."""
    names = (path.name for path in sorted(folder.glob("*.damaged-*")))
    found = [name for name in names if re.fullmatch(r".+\.damaged-\d+", name)]
    return [
        f"{folder / name} was damaged and is not used any more: save of it what you can, then delete it"
        for name in found
    ]


def _keep_last(path: Path, most: int) -> None:
    """Deletes what was set aside of a file, except for the last few."""
    beginning = f"{path.name}.damaged-"
    parts: dict[int, list[Path]] = {}
    for part in path.parent.glob(f"{beginning}*"):
        moment = part.name.removeprefix(beginning).partition("-")[0]
        if moment.isdecimal():
            parts.setdefault(int(moment), []).append(part)
    for old in sorted(parts)[:-most]:
        for part in parts[old]:
            part.unlink()


def _opened(path: Path | str, schema: str, begin: Callable[[], None]) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"pragma {pragma}")
        if (check := connection.execute("pragma quick_check(1)").fetchall()) != [("ok",)]:
            raise apsw.CorruptError(" ".join(str(check[0][0]).split()) if check else "its check gave no answer")
        if not _has_tables(connection):
            begin()
        connection.execute(schema)
        _read_texts(connection)
    except (apsw.Error, UnicodeDecodeError):
        connection.close(force=True)
        raise
    return connection


def _read_texts(connection: apsw.Connection) -> None:
    """Reads every text of every table. Raises UnicodeDecodeError for one with a wrong byte."""
    for (table,) in connection.execute("select name from sqlite_schema where type = 'table'").fetchall():
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})") if row[2] == "TEXT"]
        for _ in connection.execute(f"select {', '.join(columns) or 'null'} from {table}"):  # noqa: S608  (only our own schema)
            pass


def _is_empty(path: Path) -> bool:
    """Whether a file has no tables, or does not exist. False if it cannot be opened."""
    if not path.exists():
        return True
    try:
        connection = apsw.Connection(str(path))
    except NO_ROOM:
        return False
    try:
        connection.execute("pragma locking_mode = exclusive")
        return not _has_tables(connection)
    except NO_ROOM:
        return False
    finally:
        connection.close(force=True)


def _has_tables(connection: apsw.Connection) -> bool:
    return bool(connection.execute("select 1 from sqlite_schema limit 1").fetchall())
