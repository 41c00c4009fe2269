"""Upkeep of memories, as calls (acts; thin): memory.stats, owners, verify, reindex, backup, restore, all.* and erase.

owners, verify, backup and restore are about a whole file: a Hand's memory with its sessions, or a shared space.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from memory import lines, upkeep
from memory.errors import Damaged, Full
from memory.parts import Findings
from memory.store import Reader
from memory_desk import Answer, Desk, as_failures, at, lines_of, now, whole
from memory_file import make_folder, merge_log, most_of, remove, remove_logs, sync_folder
from memory_owner import PLAIN
from runtime import Call, Failure
from wire import limits
from wire.ids import OPERATOR

RESTORE_MAX: Final = 64 << 30
OWNERS_MAX: Final = 2_000
OPERATORS: Final = f"own/{OPERATOR}"
_COMING: Final = "coming"
"""Prefix of files in the state folder that are being restored."""

_MORE: Final = ", by the quota: ask the operator for more, `maniple settings memory quota=...`"

_ADVICE: Final = ": `maniple memory verify`"
"""Where the text of Damaged says what to do; cut off for an uploaded copy, which that command does not see."""


class Upkeep(Desk):
    """Provides memory.stats and the other methods above."""

    async def start(self) -> None:
        """Removes what killed restores left."""
        await super().start()
        for left in self.state.glob(f"{_COMING}-*"):
            left.unlink()

    async def stats(self, call: Call) -> Answer:
        """memory.stats: counts of its contents; for a whole memory also bytes and quota."""
        place = at(call)
        found: Answer = {**await self.reading(call, upkeep.totals), "embedder": self.embedding.name}
        if place.space == PLAIN:
            found |= {"bytes": _size(self.shelf.path_of(place.owner)), "quota": self.shelf.quota}
        return found

    async def owners(self, call: Call, after: str = "", most: int = 1_000) -> Answer:
        """memory.owners: all, if the operator calls, whose namespace nobody else ever gets; a Hand sees only itself."""
        if not 0 < most <= OWNERS_MAX:
            raise Failure("arguments", f"most must be between 1 and {OWNERS_MAX}")
        own = whole(call).owner
        listed = await self.shelf.in_thread(self.shelf.owners)
        found = [one for one in listed if one > after and (own == OPERATORS or one == own)]
        rows = [{"namespace": one, "bytes": _size(self.shelf.path_of(one))} for one in found[:most]]
        return {"owners": rows, "more": len(found) > most}

    async def verify(self, call: Call) -> Answer:
        """memory.verify: checks a whole memory, and mends what it can."""
        place = whole(call)
        found = Findings()
        try:
            if self.shelf.path_of(place.owner).exists():
                with as_failures():
                    found = await self.shelf.write(place.owner, upkeep.check, frees=True, is_long=True)
        except Failure as failure:
            if failure.code != Damaged.code:
                raise
            found = Findings(problems=(failure.text,))
        return {"ok": not found.problems, "problems": list(found.problems), "mended": list(found.mended)}

    async def reindex(self, call: Call) -> None:
        """memory.reindex: rebuilds every index of a whole memory, and in the background every vector.

        With a remote model, the vectors are paid for once more.
        """
        place = whole(call)
        with as_failures():
            await self.shelf.write_if_there(place.owner, upkeep.reindex, frees=True, is_long=True)
        self.embedding.check(place.owner)

    async def backup(self, call: Call) -> Answer:
        """memory.backup: streams a copy of the file as of one moment."""
        place, path = whole(call), self.scratch / f"backup-{call.number}"
        with _temporary(path):
            with as_failures():
                marks = await self.shelf.read(place.owner, lambda reader: _copy(reader, path), is_long=True)
            call.add_labels(*marks)
            size = 0
            with path.open("rb") as file:
                while piece := await self.shelf.in_thread(lambda: file.read(limits.CHUNK_SIZE)):
                    size += len(piece)
                    await call.send(piece)
        return {"bytes": size}

    async def restore(self, call: Call) -> Answer:
        """memory.restore: replaces the file by the caller's upload, if that is a whole memory."""
        place, path = whole(call), self.state / f"{_COMING}-{call.number}"
        _require_no_labels(call)
        try:
            async with self.stored_upload(call, path, min(RESTORE_MAX, most_of(self.shelf.quota)), _MORE):
                _require_no_labels(call)  # again: the upload may have brought some
                with as_failures():
                    await self.shelf.in_thread(lambda: _check_copy(path), place.owner, is_long=True)
                    size = path.stat().st_size
                    await self.shelf.exclusively(place.owner, lambda target: _replace(path, target))
                    self.embedding.forget(place.owner)
                    self.embedding.check(place.owner)
        finally:
            remove_logs(path)
        return {"bytes": size}

    async def all_export(self, call: Call) -> Answer:
        """memory.all.export: everything in a session, or in a memory but its sessions, as of one moment."""
        path, count = self.scratch / f"export-{call.number}", 0
        with _temporary(path):
            labels = await self.reading(call, lambda reader, space: _write_lines(reader, space, path), is_long=True)
            call.add_labels(*labels)
            with path.open("rb") as file:
                while piece := await self.shelf.in_thread(lambda: file.read(limits.CHUNK_SIZE)):
                    count += piece.count(b"\n")
                    await call.send(piece)
        return {"lines": count}

    async def all_import(self, call: Call) -> Answer:
        """memory.all.import: imports the caller's uploaded lines into an empty memory or session."""
        async with self.uploaded_lines(call) as path:
            labels = tuple(call.labels)
            count = await self.writing(
                call,
                lambda store, space: lines.import_space(store, space, lines_of(path), labels),
                is_long=True,
                then=lambda _: self.embedding.check(at(call).owner),
            )
        return {"lines": count}

    async def erase(self, call: Call) -> None:
        """memory.erase: a session, or a whole memory with its sessions; no error if there is none."""
        place = at(call)
        if place.space == PLAIN:
            with as_failures():
                await self.shelf.exclusively(place.owner, remove)
        elif self.shelf.path_of(place.owner).exists():
            await self.writing(call, upkeep.erase, frees=True, is_long=True)
        self.embedding.forget(place.owner)


def _require_no_labels(call: Call) -> None:
    if call.labels:
        raise Failure("labels", "a copy keeps its own labels and takes no others: import what is marked instead")


@contextmanager
def _temporary(path: Path) -> Iterator[None]:
    """Makes an empty file for the duration of the block; a thread that is late finds none to fill. Raises Failure."""
    try:
        path.touch()
    except OSError as error:
        raise Failure("full", f"the disk refuses: {error.strerror}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _write_lines(reader: Reader, space: str, path: Path) -> set[str]:
    try:
        with path.open("r+b") as file:
            return lines.export_space(reader, space, file.write)
    except OSError as error:
        raise Full(f"the disk refuses: {error.strerror}") from None


def _copy(reader: Reader, path: Path) -> set[str]:
    """Copies the file. Returns the labels of everything in it."""
    with reader.connection:  # both see the same moment
        marks = upkeep.labels(reader)
        upkeep.copy(reader, path)
    return marks


def _check_copy(path: Path) -> None:
    """Migrates a copy of an earlier version. Raises Damaged unless the file is a whole memory."""
    try:
        upkeep.check_copy(path, now)
    except Damaged as error:
        what = str(error).partition(_ADVICE)[0]
        raise Damaged(f"what was sent is not a copy of a memory, and nothing has changed: {what}") from None


def _replace(path: Path, target: Path) -> None:
    """Replaces a closed file by another; after a kill in between, one of the two is there."""
    make_folder(target.parent)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    merge_log(target)  # or a kill after the next line would lose the latest writes
    remove_logs(target)  # or its pages would be applied to the new file
    os.replace(path, target)
    sync_folder(target.parent)


def _size(path: Path) -> int:
    """Bytes of a file with its log; 0 if there is none."""
    size = 0
    for one in (path, Path(f"{path}-wal")):
        try:
            size += one.stat().st_size
        except FileNotFoundError:
            continue
    return size
