"""Maintenance of a whole memory file: totals, checking, copying, and erasing of a space (acts).

SQLite's own check finds pages that are torn, missing or of another file, and indexes that disagree with their rows; the parts
check references between their rows (memory/parts.py). Neither can find a changed byte within a value of unchanged length:
SQLite stores no checksums. Indexes are repaired, rows never guessed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw
import msgspec

from memory.errors import Damaged, StoreError
from memory.parts import PARTS, Findings
from memory.readable import unreadable
from memory.store import APPLICATION, Reader, Store, schema_at, schema_of, sqlite_errors

MOST: Final = 100
"""The most problems reported for one file."""


def totals(store: Reader, space: str) -> dict[str, int]:
    """Return the counts of a space's items, by kind."""
    found: dict[str, int] = {}
    for part in PARTS.values():
        found |= part.totals(store, space)
    return found


def erase(store: Store, space: str) -> None:
    """Delete everything in a space. Raises Damaged if rows of another space refer to it."""
    try:
        with store.write():
            store.scrub()
            for part in PARTS.values():
                part.erase(store, space)
    except apsw.ConstraintError as error:
        raise Damaged(
            f"the memory file is damaged ({error}), nothing is erased: `maniple memory verify` mends it, or says what holds"
        ) from None


def reindex(store: Store) -> None:
    """Rebuild every index from the rows. Raises StoreError if those cannot be read."""
    with store.write():
        store.scrub()
        store.rows("REINDEX")
        for part in PARTS.values():
            part.reindex(store)


def check(store: Store) -> Findings:
    """Check the whole file, and repair what can be repaired without guessing."""
    try:
        found = _pages(store)
        found = found.and_then(Findings(problems=unreadable(store, MOST)))
        if found.problems:
            return found  # the parts' checks would mean nothing
        with store.write():
            for part in PARTS.values():
                found = found.and_then(part.check(store))
    except Damaged as error:
        return Findings(problems=(str(error),))
    except (apsw.Error, ValueError, OverflowError) as error:  # rows that can be decoded but have impossible values
        return Findings(problems=(f"what its rows say cannot be put together: {error}",))
    return Findings(problems=found.problems[:MOST], mended=found.mended[:MOST])


def labels(store: Reader) -> set[str]:
    """Return the labels of everything in the file."""
    found: set[str] = set()
    for part in PARTS.values():
        for (row,) in store.rows(part.labels):
            found.update(msgspec.json.decode(str(row), type=list[str]))
    return found


def copy(reader: Reader, path: Path) -> None:
    """Copy the present state of the file into an existing empty file, while others go on writing. Raises StoreError."""
    with sqlite_errors():
        target = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            with target.backup("main", reader.connection, "main") as backup:
                backup.step(-1)
            target.pragma("journal_mode", "DELETE")
        finally:
            target.close()


def check_head(path: Path) -> None:
    """Raise Damaged unless a file begins like a memory: SQLite takes an empty file for a database without tables.

    Also if it is shorter than its header says (SQLite's file format, 1.3): if its last page is cut off, SQLite fills in
    zeros, or reports a fault of the disk.
    """
    with path.open("rb") as file:
        head = file.read(72)
    if not head.startswith(b"SQLite format 3\0") or head[68:] != APPLICATION.to_bytes(4, "big"):
        raise Damaged("it does not begin as one does")
    page = int.from_bytes(head[16:18], "big")
    missing = int.from_bytes(head[28:32], "big") * (1 << 16 if page == 1 else page) - path.stat().st_size
    if missing > 0:
        raise Damaged(f"it is cut off, {missing} bytes before its end")


def check_copy(path: Path, now: Callable[[], int]) -> None:
    """Raise Damaged unless a copy is intact and has exactly the schema of the migrations. An earlier version is migrated."""
    check_head(path)
    _check_schema(path)
    store = Store(path, now=now)
    try:
        found = check(store)
    finally:
        store.close()
    if found.problems:
        raise Damaged(found.problems[0])


def _check_schema(path: Path) -> None:
    """Raise Damaged unless a copy's schema is exactly that of the migrations that it has had.

    A hostile copy could otherwise contain triggers, views and indexes, which would act on later writes, and even during a
    migration, where one could run for ever. So this reads the schema only, and no table.
    """
    with sqlite_errors():
        connection = apsw.Connection(str(path))
        try:
            if schema_of(connection) != schema_at(int(str(connection.pragma("user_version")))):
                raise Damaged("it holds other tables than a memory does")
        finally:
            connection.close()


def _pages(store: Store) -> Findings:
    first = _complaints(store)
    if not first:
        return Findings()
    try:
        with store.write():
            reindex(store)
    except (StoreError, apsw.Error):
        return Findings(problems=first)
    left = _complaints(store)
    return (
        Findings(problems=left) if left else Findings(mended=("indexes that disagreed with their rows were made anew",))
    )


def _complaints(store: Store) -> tuple[str, ...]:
    try:
        found = [str(row[0]) for row in store.rows(f"PRAGMA integrity_check({MOST})") if row[0] != "ok"]
        found += [f"a row of {row[0]!r} refers to nothing" for row in store.rows("PRAGMA foreign_key_check")]
    except (Damaged, apsw.Error) as error:  # an index of words that cannot be opened
        return (str(error),)
    return tuple(found[:MOST])
