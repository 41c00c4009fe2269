"""A Hand's own SQLite file (acts): made when something is to be kept and there is room, and until then as one without rows.

Here since Hands that keep a table each, `plan` and `report`, import none of each other; `monitoring` and `scheduling`, which
keep much more in theirs, have only `set_aside` of this. Used from one thread. What is
written is on disk when it returns; one statement writes, so there is nothing to undo: on a full disk SQLite does that itself.
A file that is damaged, or somebody else's, is set aside and never deleted, and a new one begun: it would else keep its Hand
from every start.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

_PRAGMAS: Final = ("busy_timeout = 5000", "locking_mode = exclusive", "journal_mode = wal", "synchronous = full")
"""The index of the log of one that locks out all others lies in memory: it is read where no room is for another file."""

NO_ROOM: Final = (apsw.FullError, apsw.IOError, apsw.CantOpenError)
DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)


class TableFile:
    """One file. schema: statements that make its tables where they are missing. connection: to it, once it is made.

    notes: what a person should know of the opening.
    """

    def __init__(self, path: Path, schema: str, begin: Callable[[], None] = lambda: None) -> None:
        """Open it, or begin without it on a disk that has no room for its tables. Raises apsw.Error for one that has some.

        begin: called before the tables of an empty file are made, and not after: a kill between the two would leave a file
        that seems to be an old one.
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
        except NO_ROOM:
            if not _is_empty(path):
                raise
            self._is_made = False
            self.connection = _opened(":memory:", schema, self._begin)

    def make(self) -> None:
        """Make it, if it is not there: call this before anything is to be kept. Raises what is in NO_ROOM."""
        if not self._is_made:
            made = _opened(self._path, self._schema, lambda: None)
            self.connection.close()
            self.connection, self._is_made = made, True

    def execute(self, statement: str, values: "tuple[apsw.SQLiteValue, ...]" = ()) -> apsw.Cursor:
        """What a statement finds; it may raise what is in NO_ROOM."""
        return self.connection.execute(statement, values)

    def close(self) -> None:
        """Close it."""
        self.connection.close()


def set_aside(path: Path, now: int, *, most: int | None = None) -> str:
    """Rename a file with what SQLite keeps beside it, or a folder, so that nothing of it is lost; the name it has then.

    now: in milliseconds. most: how many of its name are kept, so that a bad disk does not fill itself; None for all.
    """
    aside = f"{path.name}.damaged-{now}"
    for suffix in ("-wal", "-shm", "-journal", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(aside + suffix))
    if most is not None:
        _keep_last(path, most)
    return aside


def _keep_last(path: Path, most: int) -> None:
    """Delete what was set aside of a file, but for the last few."""
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
    except apsw.Error:
        connection.close(force=True)
        raise
    return connection


def _is_empty(path: Path) -> bool:
    """Whether no table was ever made in a file, or there is none. Raises apsw.Error."""
    if not path.exists():
        return True
    connection = apsw.Connection(str(path))
    try:
        connection.execute("pragma locking_mode = exclusive")
        return not _has_tables(connection)
    finally:
        connection.close(force=True)


def _has_tables(connection: apsw.Connection) -> bool:
    return bool(connection.execute("select 1 from sqlite_schema limit 1").fetchall())
