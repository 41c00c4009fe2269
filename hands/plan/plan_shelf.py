"""Stores to-do lists in one SQLite file (acts): one row each, keyed by namespace and name."""

from pathlib import Path
from typing import Final

import msgspec

from plan_list import Plan, PlanWrong
from runtime.table_file import TableFile, problems_of

PLANS_MOST: Final = 200
"""Lists of one namespace."""

DAMAGED: Final = "(damaged: write it anew, or remove it)"

_TABLE: Final = """
create table if not exists plans (
    space text not null, name text not null, changed text not null, plan blob not null, primary key (space, name)
) without rowid, strict;
create index if not exists plans_changed on plans (changed);
"""


class PlanShelf:
    """All lists. Used from one thread; each change is on disk when it returns.

    If the disk has no room for a new file's table, the shelf is empty and stores nothing until there is room.
    notes: what a person should know about opening it (a damaged file that was set aside).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = TableFile(folder / "plans.sqlite", _TABLE)
        self.notes = self._file.notes

    @property
    def problems(self) -> list[str]:
        """What a person should know about the files."""
        return problems_of(self._folder)

    def find(self, space: str, name: str) -> Plan:
        """One list. Raises PlanWrong(not found or damaged)."""
        rows = list(self._file.execute("select plan from plans where space = ? and name = ?", (space, name)))
        if not rows:
            raise PlanWrong("not found", f"there is no plan {name!r} here.")
        plan = _read(rows[0][0])
        if plan is None:
            raise PlanWrong("damaged", f"the plan {name!r} is damaged: write it anew, or remove it.")
        return plan

    def put(self, space: str, plan: Plan) -> None:
        """Stores a list, replacing one of that name. Raises PlanWrong(too many), and the errors in NO_ROOM."""
        self._file.make()
        count = "select count(*) from plans where space = ? and name <> ?"
        ((others,),) = self._file.execute(count, (space, plan.name))
        if others >= PLANS_MOST:
            raise PlanWrong("too many", f"there are {PLANS_MOST} plans here already: remove one first.")
        row = (space, plan.name, plan.changed, msgspec.msgpack.encode(plan))
        self._file.execute("insert or replace into plans values (?, ?, ?, ?)", row)

    def remove(self, space: str, name: str) -> bool:
        """Removes a list. Returns whether there was one."""
        self._file.execute("delete from plans where space = ? and name = ?", (space, name))
        return bool(self._file.connection.changes())

    def of(self, space: str) -> list[Plan]:
        """All lists of a namespace, last changed first."""
        query = "select name, changed, plan from plans where space = ? order by changed desc, name"
        return [_read_or_mark(*row) for row in self._file.execute(query, (space,))]

    def every(self, most: int) -> list[tuple[str, Plan]]:
        """(namespace, list) of all namespaces, last changed first, at most `most`."""
        query = "select space, name, changed, plan from plans order by changed desc, space, name limit ?"
        return [(str(row[0]), _read_or_mark(*row[1:])) for row in self._file.execute(query, (most,))]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _read(raw: object) -> Plan | None:
    """Decodes a list; None if a wrong byte made it another thing."""
    assert isinstance(raw, bytes)
    try:
        return msgspec.msgpack.decode(raw, type=Plan)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _read_or_mark(name: object, changed: object, raw: object) -> Plan:
    """Decodes a list; one that is damaged has no steps, and says so in its title."""
    return _read(raw) or Plan(name=str(name), title=DAMAGED, steps=(), changed=str(changed))
