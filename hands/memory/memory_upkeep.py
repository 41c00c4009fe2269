"""Looking after memories, as calls (acts; thin): memory.stats, .all.export, .verify, .erase.

owners, verify, backup and restore are about a whole file, so about a Hand's memory with its sessions, or a shared space.
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
from memory_file import make_folder, most_of, remove, remove_logs, sync_folder, take_in_log
from memory_owner import PLAIN
from runtime import Call, Failure
from wire import limits
from wire.ids import OPERATOR

RESTORE_MAX: Final = 64 << 30
OWNERS_MAX: Final = 2_000
OPERATORS: Final = f"own/{OPERATOR}"
_COMING: Final = "coming"
"""In the state folder: what is being restored, until it is whole."""

_MORE: Final = ", by the quota: ask the operator for more, `maniple settings memory quota=...`"

_ADVICE: Final = ": `maniple memory verify`"
"""Where damage of a memory goes on with what to do; of a copy that was sent it would tell nothing."""


class Upkeep(Desk):
    """memory.stats and what belongs to it."""

    async def start(self) -> None:
        """Remove what a killed restore left."""
        await super().start()
        for left in self.state.glob(f"{_COMING}-*"):
            left.unlink()

    async def stats(self, call: Call) -> Answer:
        """Answer memory.stats: how many of what, and for a whole memory its room."""
        place = at(call)
        found: Answer = {**await self.reading(call, upkeep.totals), "embedder": self.embedding.name}
        if place.space == PLAIN:
            found |= {"bytes": _size(self.shelf.path_of(place.owner)), "quota": self.shelf.quota}
        return found

    async def owners(self, call: Call, after: str = "", most: int = 1_000) -> Answer:
        """Answer memory.owners: to the operator, whose namespace nobody else is ever given, all; to a Hand only itself."""
        if not 0 < most <= OWNERS_MAX:
            raise Failure("arguments", f"most must be between 1 and {OWNERS_MAX}")
        own = whole(call).owner
        listed = await self.shelf.in_thread(self.shelf.owners)
        found = [one for one in listed if one > after and (own == OPERATORS or one == own)]
        rows = [{"namespace": one, "bytes": _size(self.shelf.path_of(one))} for one in found[:most]]
        return {"owners": rows, "more": len(found) > most}

    async def verify(self, call: Call) -> Answer:
        """Answer memory.verify."""
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
        """Answer memory.reindex: every index of a whole memory anew, and in the background every vector.

        With a model elsewhere, that is paid for once more.
        """
        place = whole(call)
        with as_failures():
            await self.shelf.write_if_there(place.owner, upkeep.reindex, frees=True, is_long=True)
        self.embedding.look(place.owner)

    async def backup(self, call: Call) -> Answer:
        """Answer memory.backup: the file as it is when this begins."""
        place, path = whole(call), self.scratch / f"backup-{call.number}"
        with _there(path):
            with as_failures():
                marks = await self.shelf.read(place.owner, lambda reader: _copied(reader, path), is_long=True)
            call.add_labels(*marks)
            size = 0
            with path.open("rb") as file:
                while piece := await self.shelf.in_thread(lambda: file.read(limits.CHUNK_SIZE)):
                    size += len(piece)
                    await call.send(piece)
        return {"bytes": size}

    async def restore(self, call: Call) -> Answer:
        """Answer memory.restore: what the caller sends takes the place of the file, if it is a whole memory."""
        place, path = whole(call), self.state / f"{_COMING}-{call.number}"
        _unmarked(call)
        try:
            async with self.received(call, path, min(RESTORE_MAX, most_of(self.shelf.quota)), _MORE):
                _unmarked(call)  # a piece of it may have brought some
                with as_failures():
                    await self.shelf.in_thread(lambda: _checked(path), place.owner, is_long=True)
                    size = path.stat().st_size
                    await self.shelf.exclusively(place.owner, lambda target: _replace(path, target))
                    self.embedding.forget(place.owner)
                    self.embedding.look(place.owner)
        finally:
            remove_logs(path)
        return {"bytes": size}

    async def all_export(self, call: Call) -> Answer:
        """Answer memory.all.export: everything of a session, or of a memory but its sessions, as of one moment."""
        path, count = self.scratch / f"export-{call.number}", 0
        with _there(path):
            labels = await self.reading(call, lambda reader, space: _written(reader, space, path), is_long=True)
            call.add_labels(*labels)
            with path.open("rb") as file:
                while piece := await self.shelf.in_thread(lambda: file.read(limits.CHUNK_SIZE)):
                    count += piece.count(b"\n")
                    await call.send(piece)
        return {"lines": count}

    async def all_import(self, call: Call) -> Answer:
        """Answer memory.all.import: from the lines that the caller sends, where there is nothing yet."""
        async with self.lines_sent(call) as path:
            labels = tuple(call.labels)
            count = await self.writing(
                call,
                lambda store, space: lines.take_in(store, space, lines_of(path), labels),
                is_long=True,
                then=lambda _: self.embedding.look(at(call).owner),
            )
        return {"lines": count}

    async def erase(self, call: Call) -> None:
        """Answer memory.erase: a session, or a whole memory with its sessions; what is not there is erased as well."""
        place = at(call)
        if place.space == PLAIN:
            with as_failures():
                await self.shelf.exclusively(place.owner, remove)
        elif self.shelf.path_of(place.owner).exists():
            await self.writing(call, upkeep.erase, frees=True, is_long=True)
        self.embedding.forget(place.owner)


def _unmarked(call: Call) -> None:
    if call.labels:
        raise Failure("labels", "a copy keeps its own labels and takes no others: import what is marked instead")


@contextmanager
def _there(path: Path) -> Iterator[None]:
    """An empty file, which is there as long as its call: a thread that comes to it after that fills none. Raises Failure."""
    try:
        path.touch()
    except OSError as error:
        raise Failure("full", f"the disk refuses: {error.strerror}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _written(reader: Reader, space: str, path: Path) -> set[str]:
    try:
        with path.open("r+b") as file:
            return lines.write_out(reader, space, file.write)
    except OSError as error:
        raise Full(f"the disk refuses: {error.strerror}") from None


def _copied(reader: Reader, path: Path) -> set[str]:
    """Copy a file; the labels of all that is in the copy."""
    with reader.connection:  # both as of one moment
        marks = upkeep.labels(reader)
        upkeep.copy(reader, path)
    return marks


def _checked(path: Path) -> None:
    """Raise Damaged unless a file is a whole memory; one of an earlier version is brought to today's."""
    try:
        upkeep.check_copy(path, now)
    except Damaged as error:
        what = str(error).partition(_ADVICE)[0]
        raise Damaged(f"what was sent is not a copy of a memory, and nothing has changed: {what}") from None


def _replace(path: Path, target: Path) -> None:
    """Let a file take the place of another one, which nobody has open; killed between, one of the two is there."""
    make_folder(target.parent)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    take_in_log(target)  # or it would have lost what was written last, if all ends after the next line
    remove_logs(target)  # whose pages would be taken for the new file's
    os.replace(path, target)
    sync_folder(target.parent)


def _size(path: Path) -> int:
    """Bytes of a file with its log, 0 when there is none."""
    size = 0
    for one in (path, Path(f"{path}-wal")):
        try:
            size += one.stat().st_size
        except FileNotFoundError:
            continue
    return size
