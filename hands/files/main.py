"""The Hand `files`: the one process that reads and writes the user's files, only beneath granted roots (acts).

Provides files.*; HAND.toml and README.md list what each method takes and returns. This module reads, lists and writes
whole files; `files_changing` edits, moves and deletes, `files_searching` walks folders; `files_desk` is their shared
base. Below them: `beneath` opens, `whole_write` writes, `bin_folder` deletes, `folder_view` shows, `label_marks` keeps
labels, `disk_threads` runs blocking disk work in threads.
"""

import hashlib
import os
from contextlib import ExitStack

import folder_view
from beneath import Place
from files_changing import Changing
from files_desk import as_failures, check_expect, message_labels
from files_searching import Searching
from runtime import Call, Failure
from whole_write import READ_SIZE


class Files(Searching, Changing):
    """Provides files.*."""

    async def read(self, call: Call, offset: int = 0, length: int | None = None) -> dict[str, object]:
        """files.read: streams the file up to the size it had when opened; bytes appended later are not sent."""
        if offset < 0 or (length is not None and length < 0):
            raise Failure("arguments", "offset and length must be 0 or more.")
        with as_failures(call.resource), ExitStack() as held:
            place = self.tree.place(call.resource)
            fd, labels = await self.disk.do(self.open_with_labels, held, place, self.tree.open_file)
            call.add_labels(*labels)
            before = os.fstat(fd)
            end = before.st_size if length is None else min(before.st_size, offset + length)
            digest, at = hashlib.sha256(), offset
            while at < end and (chunk := await self.disk.do(os.pread, fd, min(READ_SIZE, end - at), at)):
                digest.update(chunk)
                at += len(chunk)
                await call.send(chunk)
            changed = not await self.disk.do(self._is_same, fd, place, before)
            modified = folder_view.timestamp(before.st_mtime_ns)
            return {"size": at - offset, "sha256": digest.hexdigest(), "modified": modified, "changed": changed}

    async def stat(self, call: Call) -> dict[str, object]:
        """files.stat: kind, size, time and mode at a path. A link is reported as a link, not followed."""
        with as_failures(call.resource):
            place = self.tree.place(call.resource)
            found = await self.disk.do(self.tree.look, place)
            facts = folder_view.facts(found)
            if facts["kind"] in ("file", "folder"):
                call.add_labels(*await self.disk.do(self.labels_at, place))
            return {**facts, "mode": f"{found.st_mode & 0o7777:04o}"}

    async def list(
        self, call: Call, pattern: str = "*", most: int = folder_view.MOST_DEFAULT, after: str = ""
    ) -> dict[str, object]:
        """files.list: the entries of one folder, sorted. after: the last name of the previous page."""
        if not 1 <= most <= folder_view.MOST_MAX:
            raise Failure("arguments", f"most must be between 1 and {folder_view.MOST_MAX}.")
        if len(pattern) > folder_view.PATTERN_MOST:
            raise Failure("arguments", f"pattern may have at most {folder_view.PATTERN_MOST} characters.")
        with as_failures(call.resource), ExitStack() as held:
            place = self.tree.place(call.resource)
            fd, labels = await self.disk.do(self.open_with_labels, held, place, self.tree.open_folder)
            entries, more = await self.disk.do(folder_view.listing, fd, pattern, after, most)
            call.add_labels(*labels, *await self.disk.do(self.labels_in, fd, place, entries))
            return {"entries": [entry for _, entry in entries], "more": more}

    async def write(
        self, call: Call, text: str | None = None, expect: str | None = None, make_folders: bool = False
    ) -> dict[str, object]:
        """files.write: on return the whole file is on disk under its name. On failure the old file is untouched."""
        expect = check_expect(expect, may_be_absent=True)
        if text is not None and call.uploads:
            raise Failure("arguments", "give `text` or a stream, not both")
        with as_failures(call.resource), ExitStack() as held:
            place = self.tree.place(call.resource)
            draft, mode = await self.disk.do(self.begin, held, place, expect, make_folders, message_labels(call.labels))
            if text is not None:
                await self.disk.do(draft.write, text.encode())
            async for chunk in call.upload:
                await self.disk.do(draft.write, chunk)
            # call.labels again: the caller may have gained labels from what it read while it streamed.
            await self.disk.do(self.give_name, draft, place, expect, mode, message_labels(call.labels))
            return {"size": draft.size, "sha256": draft.sha256}

    def _is_same(self, fd: int, place: Place, before: os.stat_result) -> bool:
        """Whether the path still leads to the file that was read, and it is unchanged (size and mtime)."""
        after = os.fstat(fd)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            return False
        try:
            return os.path.samestat(self.tree.look(place), before)
        except OSError:
            return False
