"""Keeps to-do lists in one SQLite file (acts): a row for each, by whose it is and its name."""

from pathlib import Path
from typing import Final

import apsw
import msgspec

from plan_list import Plan, PlanWrong

PLANS_MOST: Final = 200
"""Of one namespace."""

_TABLE: Final = """
create table if not exists plans (
    space text not null, name text not null, changed text not null, plan blob not null, primary key (space, name)
) without rowid, strict;
create index if not exists plans_changed on plans (changed);
"""
_PRAGMAS: Final = ("busy_timeout = 5000", "locking_mode = exclusive", "journal_mode = wal", "synchronous = full")
"""The index of the log of one that locks out all others lies in memory: it is read where no room is for another file."""

NO_ROOM: Final = (apsw.FullError, apsw.IOError, apsw.CantOpenError)


class PlanShelf:
    """All lists. Used from one thread; each change is on disk when it returns.

    On a disk without room for the table of a new file, nothing is kept, which is read as such, until there is room.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "plans.sqlite"
        self._is_made = True
        try:
            self._file = _opened(self._path)
        except NO_ROOM:
            if not _is_empty(self._path):
                raise
            self._is_made = False
            self._file = _opened(":memory:")

    def find(self, space: str, name: str) -> Plan:
        """One list. Raises PlanWrong."""
        rows = list(self._file.execute("select plan from plans where space = ? and name = ?", (space, name)))
        if not rows:
            raise PlanWrong("not found", f"there is no plan {name!r} here.")
        return _read(rows[0][0])

    def put(self, space: str, plan: Plan) -> None:
        """Keeps a list, instead of one of that name. Raises PlanWrong when there are too many, what is in NO_ROOM.

        One statement writes, so there is nothing to undo: on a full disk SQLite has done that itself.
        """
        if not self._is_made:
            self._file, self._is_made = _opened(self._path), True
        count = "select count(*) from plans where space = ? and name <> ?"
        ((others,),) = self._file.execute(count, (space, plan.name))
        if others >= PLANS_MOST:
            raise PlanWrong("too many", f"there are {PLANS_MOST} plans here already: remove one first.")
        row = (space, plan.name, plan.changed, msgspec.msgpack.encode(plan))
        self._file.execute("insert or replace into plans values (?, ?, ?, ?)", row)

    def remove(self, space: str, name: str) -> bool:
        """Whether there was one."""
        self._file.execute("delete from plans where space = ? and name = ?", (space, name))
        return bool(self._file.changes())

    def of(self, space: str) -> list[Plan]:
        """Every list of a namespace, the one that was changed last first."""
        rows = self._file.execute("select plan from plans where space = ? order by changed desc, name", (space,))
        return [_read(row[0]) for row in rows]

    def every(self, most: int) -> list[tuple[str, Plan]]:
        """(whose, list) of the lists that were changed last, at most so many."""
        rows = self._file.execute("select space, plan from plans order by changed desc, space, name limit ?", (most,))
        return [(str(row[0]), _read(row[1])) for row in rows]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _opened(path: Path | str) -> apsw.Connection:
    """A file with its table. Raises what is in NO_ROOM."""
    file = apsw.Connection(str(path))
    try:
        for pragma in _PRAGMAS:
            file.execute(f"pragma {pragma}")
        file.execute(_TABLE)
    except apsw.Error:
        file.close(force=True)
        raise
    return file


def _is_empty(path: Path) -> bool:
    """Whether no table was ever made in a file, or there is none. Raises apsw.Error."""
    if not path.exists():
        return True
    file = apsw.Connection(str(path))
    try:
        file.execute("pragma locking_mode = exclusive")
        return not file.execute("select 1 from sqlite_schema").fetchall()
    finally:
        file.close(force=True)


def _read(raw: object) -> Plan:
    assert isinstance(raw, bytes)
    return msgspec.msgpack.decode(raw, type=Plan)
