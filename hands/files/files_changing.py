"""The part of the Hand that edits files in place, moves them, deletes them into the bin and restores them (acts).

An edit is a read, a pure decision (text_change), and a write that succeeds only if the file is still what was read. So
an edit never overwrites somebody else's change, and never leaves half a file.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from typing import Final

import bin_folder
import moving
import text_change
from beneath import Place
from file_refusal import FileRefused
from files_desk import Desk, as_failures, check_expect, message_labels
from label_marks import mark
from runtime import Call, Failure
from text_change import CHANGE_MOST
from whole_write import ABSENT

CREATED: Final = b"--- /dev/null"
BIN_MOST: Final = 1000
LARGE: Final = 1024 * 1024
"""Bytes. Only one file larger than this is edited at a time."""


class Changing(Desk):
    """files.edit, patch, move, make-folder, delete, restore and bin."""

    async def start(self) -> None:
        """Adds to Desk's the semaphore for large edits."""
        await super().start()
        self.large = asyncio.Semaphore(1)

    async def edit(
        self, call: Call, old: str, new: str, times: int = 1, expect: str | None = None
    ) -> dict[str, object]:
        """files.edit: replaces every `old` by `new`; `old` must occur exactly `times` times."""
        if not old or times < 1:
            raise Failure("arguments", "old must not be empty, and times must be 1 or more.")
        change = partial(text_change.replace, old=old.encode(), new=new.encode(), times=times)
        expect = check_expect(expect, may_be_absent=False)
        with as_failures(call.resource):
            return await self._apply_change(call, change, expect) | {"replaced": times}

    async def patch(self, call: Call, diff: str, expect: str | None = None) -> dict[str, object]:
        """files.patch: applies a unified diff to this file; a diff from /dev/null creates it."""
        expect, raw = check_expect(expect, may_be_absent=True), diff.encode()
        if any(line.startswith(CREATED) for line in raw.split(b"\n@@")[0].split(b"\n")):
            expect = ABSENT
        done: list[text_change.Patched] = []

        def change(text: bytes) -> bytes:
            done.append(text_change.apply_diff(text, raw))
            return done[0].text

        with as_failures(call.resource):
            reply = await self._apply_change(call, change, expect)
        one = done[0]
        return reply | {"offsets": list(one.offsets), "added": one.added, "removed": one.removed}

    async def _apply_change(self, call: Call, change: text_change.Change, expect: str | None) -> dict[str, object]:
        """Edits a file. Large ones go one at a time: each needs a few times its size of the process's shared memory."""
        place = self.tree.place(call.resource)
        size = 0 if expect == ABSENT else (await self.disk.do(self.tree.look, place)).st_size
        async with self.large if size > LARGE else nullcontext():
            return await self.disk.do(self._edit_on_disk, call, change, expect)

    async def move(self, call: Call, source: str, target: str, make_folders: bool = False) -> dict[str, object]:
        """files.move: renames `source` to `target`, both relative to the resource's folder; `target` must be free."""
        with as_failures(call.resource):
            folder = self.tree.place(call.resource)
            old, new = self.below(folder, source), self.below(folder, target)
            return await self.disk.do(self._move_on_disk, call, old, new, make_folders)

    async def make_folder(self, call: Call) -> dict[str, object]:
        """files.make-folder: makes the folder and its missing parents; an existing one is left as it is."""
        with as_failures(call.resource):
            place = self.tree.place(call.resource)
            return {"made": await self.disk.do(self._make_folder_on_disk, place, message_labels(call.labels))}

    async def delete(self, call: Call, expect: str | None = None) -> dict[str, object]:
        """files.delete: moves the file into its root's bin; `bin` says where, and is empty if the setting bin_days is 0."""
        expect = check_expect(expect, may_be_absent=False)
        with as_failures(call.resource):
            place = self.tree.place(call.resource)
            with suppress(OSError, FileRefused):  # the delete below reports what is wrong
                call.add_labels(*await self.disk.do(self.labels_at, place))
            return await self.disk.do(self._delete_on_disk, place, expect)

    async def restore(self, call: Call, bin: str = "") -> dict[str, object]:  # noqa: A002  (a param of the method)
        """files.restore: moves back the file last deleted at this path, or the one with this name in the bin."""
        with as_failures(call.resource):
            place = self.tree.place(call.resource)
            reply = await self.disk.do(self._restore_on_disk, place, bin)
            call.add_labels(*await self.disk.do(self.labels_at, place))
            return reply

    async def bin(self, call: Call, most: int = 200) -> dict[str, object]:
        """files.bin: the files deleted at this path or beneath it, newest first."""
        if not 1 <= most <= BIN_MOST:
            raise Failure("arguments", f"most must be between 1 and {BIN_MOST}.")
        with as_failures(call.resource):
            place = self.tree.place(call.resource)
            found, labels = await self.disk.do(bin_folder.list_deleted, place, most + 1)
            root = place.resource.partition("/")[0]
            written_down = (self.book.get(bin_folder.resource_of(root, str(one["bin"]))) for one in found)
            call.add_labels(*labels.union(*written_down))
            return {"entries": found[:most], "more": len(found) > most}

    # run in a disk thread ----------------------------------------------------------------------------------------

    def _edit_on_disk(self, call: Call, change: text_change.Change, expect: str | None) -> dict[str, object]:
        place = self.tree.place(call.resource)
        text, labels = (b"", set[str]()) if expect == ABSENT else self._read_whole(place)
        call.add_labels(*labels)
        before = hashlib.sha256(text).hexdigest()
        if expect not in (None, ABSENT, before):
            raise FileRefused("conflict", f"{call.resource}: it is not what was expected. Read it again.")
        made = change(text)
        with ExitStack() as held:
            marks = message_labels(labels | set(call.labels))
            known = ABSENT if expect == ABSENT else before
            draft, mode = self.begin(held, place, known, False, marks)
            draft.write(made)
            self.give_name(draft, place, known, mode, marks)
            return {"size": draft.size, "sha256": draft.sha256, "before": before}

    def _read_whole(self, place: Place) -> tuple[bytes, set[str]]:
        with ExitStack() as held:
            fd, labels = self.open_with_labels(held, place, self.tree.open_file)
            if os.fstat(fd).st_size > CHANGE_MOST:
                raise FileRefused("too large", f"{place.resource}: more than {CHANGE_MOST} bytes; write it whole.")
            with os.fdopen(os.dup(fd), "rb") as file:
                text = file.read(CHANGE_MOST + 1)
            return text[:CHANGE_MOST], labels

    def _delete_on_disk(self, place: Place, expect: str | None) -> dict[str, object]:
        """Deletes a file. Its labels are copied to its bin path first: another file may take its path right after."""
        written_down: list[str] = []

        def into(inside: str) -> None:
            if not inside:
                self._note_draft_folder(place.folder)  # a kill may leave the file there under a draft's name
                return
            written_down.append(inside)
            self.book.put(inside, self.book.get(place.resource))

        try:
            return bin_folder.delete(self.tree, place, expect, self.settings.of("bin_days", int), into)
        except BaseException:
            for inside in written_down:
                self.book.put(inside, ())
            raise

    def _restore_on_disk(self, place: Place, name: str) -> dict[str, object]:
        here = place.resource

        def back(inside: str) -> None:
            self.book.add(here, self.book.get(inside))

        reply = bin_folder.restore(self.tree, place, name, back)
        self.book.put(bin_folder.resource_of(here.partition("/")[0], str(reply["bin"])), ())
        return reply

    def _move_on_disk(self, call: Call, old: Place, new: Place, make_folders: bool) -> dict[str, object]:
        if new.parts[: len(old.parts)] == old.parts:
            raise FileRefused("arguments", f"{new.resource}: it is {old.resource}, or lies in it.")
        kind = moving.must_be_movable(self.tree.look(old), old.resource)
        with ExitStack() as held:
            fd, labels = self.open_with_labels(held, old, self.open_either)
            call.add_labels(*labels)
            if make_folders:
                self.make_folders_to(new.folder, message_labels(call.labels))
            marks = message_labels(labels | set(call.labels))
            in_book = bool(marks) and not mark(fd, marks)
            moving.move(self.tree, old, new, os.fstat(fd), self._taking_along(old, new, marks if in_book else ()))
        return {"kind": kind}

    @contextmanager
    def _taking_along(self, old: Place, new: Place, marks: tuple[str, ...]) -> Iterator[None]:
        """Wraps a move: during it, old and new paths both have the book's labels; after it, only the new. Never too few."""
        self.book.add(new.resource, marks)
        self.book.copy(old.resource, new.resource)
        yield
        self.book.copy(old.resource, new.resource)  # for files written beneath it just before the move
        self.book.drop(old.resource)

    def _make_folder_on_disk(self, place: Place, labels: tuple[str, ...]) -> bool:
        try:
            was_there = stat.S_ISDIR(self.tree.look(place).st_mode)
        except FileNotFoundError:
            was_there = False
        self.make_folders_to(place, labels)
        with ExitStack() as held:
            self.tree.open_folder(held, place)
        return not was_there
