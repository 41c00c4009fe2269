"""Stores artefacts: one row each in a SQLite file, and the bytes as a file beside it (acts).

An artefact's id is a digest of its namespace, title, type and bytes: storing the same again changes nothing, so a call
whose outcome was lost may be repeated. The bytes are on disk under their final name before the row is.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
from msgspec import Struct

from runtime import table_file
from runtime.table_file import TableFile, problems_of, set_aside
from wire.labels import join

_TABLE: Final = """
create table if not exists artefacts (
    space text not null, id text not null, title text not null, type text not null, size integer not null,
    sha256 text not null, made text not null, labels text not null, primary key (space, id)
) without rowid, strict;
create index if not exists artefacts_made on artefacts (made);
"""
NO_ROOM: Final = (OSError, *table_file.NO_ROOM)
DRAFT: Final = ".part"
_COLUMNS: Final = "space, id, title, type, size, sha256, made, labels"


class Artefact(Struct, frozen=True, kw_only=True):
    """One stored artefact. space: its namespace. made: RFC 3339 text, in UTC. labels: those of the calls that put it."""

    space: str
    id: str
    title: str
    type: str
    size: int
    sha256: str
    made: str
    labels: tuple[str, ...]

    def as_reply(self) -> dict[str, object]:
        """The artefact as a reply."""
        return {name: getattr(self, name) for name in ("id", "title", "type", "size", "sha256", "made")}


class TooMany(Exception):
    """The namespace already has the maximum number of artefacts."""


class TooLarge(Exception):
    """The namespace's artefacts would exceed their maximum of bytes."""


class Draft:
    """An artefact's bytes while they arrive. The caller must call `drop` at the end. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{os.urandom(8).hex()}{DRAFT}"
        self._file = self.path.open("xb")
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Appends. Raises OSError."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def settle(self) -> str:
        """Waits until its bytes are on disk. Returns their digest, in hex."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()

    def drop(self) -> None:
        """Closes it, and removes the file unless `put` renamed it."""
        with suppress(OSError):  # a full disk fails the flush again; the file is closed all the same
            self._file.close()
        self.path.unlink(missing_ok=True)


class ArtefactShelf:
    """All artefacts. Used from one thread.

    If the disk has no room for a new file's table, the shelf is empty and stores nothing until there is room.
    notes: what a person should know about opening it (what was damaged and set aside).
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._home = folder / "bytes", folder
        self._is_whole = True  # whether no row's id differs from the digest that it is
        self.notes = list[str]()
        self._file = TableFile(folder / "artefacts.sqlite", _TABLE, self._keep_bytes)
        self.notes = [*self._file.notes, *self.notes]
        self._sweep()

    def _keep_bytes(self) -> None:
        """Sets aside the bytes of an earlier table file: a new one has no row for them, so `_sweep` would remove them."""
        if self.folder.is_dir() and any(not one.name.endswith(DRAFT) for one in self.folder.iterdir()):
            aside = set_aside(self.folder, time.time_ns() // 1_000_000)
            self.notes.append(f"the bytes of artefacts that are not known any more lie in {aside}")

    @property
    def problems(self) -> list[str]:
        """What a person should know about the files."""
        damaged = f"a row of {self._home / 'artefacts.sqlite'} is damaged: a title, type or owner is not as it was put"
        return problems_of(self._home) + ([] if self._is_whole else [damaged])

    def put(
        self, space: str, title: str, kind: str, draft: Draft, made: str, labels: tuple[str, ...], *,
        count: int, each: int,
    ) -> Artefact:  # fmt: skip
        """Stores a draft. An artefact that exists keeps its time, and gets both calls' labels.

        Raises TooMany beyond `count` artefacts of the namespace, TooLarge beyond `each` bytes of them together, and the
        errors in NO_ROOM.
        """
        self._file.make()
        sha256 = draft.settle()
        name = id_of(space, title, kind, sha256)
        old = self.find(space, name)
        if old is None and self.count_of(space) >= count:
            raise TooMany
        if old is None and self.size_of(space) + draft.size > each:
            raise TooLarge
        draft.path.replace(self.folder / name)
        descriptor = os.open(self.folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        one = Artefact(
            space=space, id=name, title=title, type=kind, size=draft.size, sha256=sha256,
            made=old.made if old else made, labels=tuple(sorted(join(labels, old.labels if old else ()))),
        )  # fmt: skip
        row = (space, name, title, kind, one.size, sha256, one.made, "\n".join(one.labels))
        try:
            self._file.execute("insert or replace into artefacts values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except apsw.Error:
            if old is None:  # its bytes would lie there uncounted until the next start
                (self.folder / name).unlink()
            raise
        return one

    def find(self, space: str, name: str) -> Artefact | None:
        """An artefact of a namespace; None if there is none."""
        return next(self._rows("where space = ? and id = ?", (space, name)), None)

    def path(self, one: Artefact) -> Path:
        """The file with an artefact's bytes."""
        return self.folder / one.id

    def of(self, space: str, most: int) -> list[Artefact]:
        """Artefacts of a namespace, latest first, at most `most`."""
        return list(self._rows("where space = ? order by made desc, id limit ?", (space, most)))

    def every(self, most: int, begins: str = "") -> list[Artefact]:
        """Artefacts of all namespaces whose ids begin with `begins`, latest first, at most `most`."""
        where = "where substr(id, 1, length(?1)) = ?1 order by made desc, id limit ?2"
        return list(self._rows(where, (begins, most)))

    def size_of(self, space: str) -> int:
        """Bytes of a namespace's artefacts together."""
        ((size,),) = self._file.execute("select coalesce(sum(size), 0) from artefacts where space = ?", (space,))
        return int(size)

    def count_of(self, space: str) -> int:
        """Number of a namespace's artefacts."""
        ((count,),) = self._file.execute("select count(*) from artefacts where space = ?", (space,))
        return int(count)

    def remove(self, space: str, name: str) -> bool:
        """Removes an artefact. Returns whether there was one."""
        self._file.execute("delete from artefacts where space = ? and id = ?", (space, name))
        gone = bool(self._file.connection.changes())
        if gone:
            (self.folder / name).unlink(missing_ok=True)
        return gone

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _rows(self, rest: str, values: tuple[object, ...]) -> Iterator[Artefact]:
        for row in self._file.execute(f"select {_COLUMNS} from artefacts {rest}", values):  # noqa: S608  (only our text)
            labels = tuple(filter(None, str(row[7]).split("\n")))
            yield Artefact(
                space=row[0],
                id=row[1],
                title=row[2],
                type=row[3],
                size=row[4],
                sha256=row[5],
                made=row[6],
                labels=labels,
            )

    def _sweep(self) -> None:
        """Removes bytes without a row, which killed calls left. If a row is damaged, they may be its: then only drafts."""
        if self.folder.exists() and not self.folder.is_dir():
            set_aside(self.folder, time.time_ns() // 1_000_000)
        known = set[str]()
        for one in self._rows("", ()):
            known.add(one.id)
            self._is_whole &= one.id == id_of(one.space, one.title, one.type, one.sha256)
        for path in self.folder.iterdir() if self.folder.exists() else ():
            if path.name.endswith(DRAFT) or (self._is_whole and path.name not in known):
                path.unlink()


def id_of(space: str, title: str, kind: str, sha256: str) -> str:
    """The id of an artefact: 24 hex digits. The parts are joined by NUL, which none of them contains."""
    return hashlib.sha256(f"{space}\0{title}\0{kind}\0{sha256}".encode()).hexdigest()[:24]
