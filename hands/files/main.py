"""The Hand `files`: the one process that touches files, and only beneath the roots that the operator granted (acts).

Answers files.read, files.stat, files.list, files.write and files.delete; what each takes and gives stands in
HAND.toml and README.md. This module joins the parts: `beneath` opens, `whole_write` writes, `bin_folder` deletes,
`folder_view` shows, `label_marks` keeps labels, `disk_threads` keeps a slow disk from holding up other callers.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Final

import bin_folder
import folder_view
from beneath import Place, Tree, best_opener
from disk_threads import DiskThreads
from file_refusal import FileRefused, from_os
from label_marks import MarkBook, mark, marks_of
from runtime import Call, Failure, Hand
from whole_write import ABSENT, READ_SIZE, Draft, check_target, put, sweep

WRITTEN: Final = "folders-written"
"""In the state folder: the folders that may hold a killed write's draft, one resource per line."""


class Files(Hand):
    """Provides files.*."""

    async def start(self) -> None:
        """Removes what killed writes left, and what lay in the bins long enough."""
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self.disk = DiskThreads()
        self.tree = Tree(self.roots, best_opener())
        self.written: set[str] = set()
        self.book = await self.disk.do(MarkBook, self.state)
        await self.disk.do(self._sweep)
        for name, root in self.roots.items():
            with _told(name):
                await self.disk.do(bin_folder.empty, root, datetime.now(UTC), self.settings.of("bin_days", int))

    async def stop(self) -> None:
        """Ends the threads."""
        self.disk.close()

    async def read(self, call: Call, offset: int = 0, length: int | None = None) -> dict[str, object]:
        """files.read: streams the file as it is when opened; what is appended meanwhile is not sent."""
        if offset < 0 or (length is not None and length < 0):
            raise Failure("arguments", "offset and length are 0 or more.")
        with _told(call.resource), ExitStack() as held:
            place = self.tree.place(call.resource)
            fd = await self.disk.do(self.tree.open_file, held, place)
            call.add_labels(*await self.disk.do(self._labels_of, fd, place))
            before = os.fstat(fd)
            end = before.st_size if length is None else min(before.st_size, offset + length)
            digest, at = hashlib.sha256(), offset
            while at < end and (chunk := await self.disk.do(os.pread, fd, min(READ_SIZE, end - at), at)):
                digest.update(chunk)
                at += len(chunk)
                await call.send(chunk)
            changed = not await self.disk.do(self._is_same, fd, place, before)
            modified = folder_view.moment(before.st_mtime_ns)
            return {"size": at - offset, "sha256": digest.hexdigest(), "modified": modified, "changed": changed}

    async def stat(self, call: Call) -> dict[str, object]:
        """files.stat: the facts of what the path stands for; a link is told as a link and not followed."""
        with _told(call.resource):
            place = self.tree.place(call.resource)
            found = await self.disk.do(self.tree.look, place)
            facts = folder_view.facts(found)
            if facts["kind"] in ("file", "folder"):
                call.add_labels(*await self.disk.do(self._labels_at, place))
            return {**facts, "mode": f"{found.st_mode & 0o7777:04o}"}

    async def list(
        self, call: Call, pattern: str = "*", most: int = folder_view.MOST_DEFAULT, after: str = ""
    ) -> dict[str, object]:
        """files.list: the entries of one folder, sorted. after: the last name of the part that came before."""
        if not 1 <= most <= folder_view.MOST_MAX:
            raise Failure("arguments", f"most is between 1 and {folder_view.MOST_MAX}.")
        with _told(call.resource), ExitStack() as held:
            place = self.tree.place(call.resource)
            fd = await self.disk.do(self.tree.open_folder, held, place)
            entries, more = await self.disk.do(folder_view.listing, fd, pattern, after, most)
            call.add_labels(*await self.disk.do(self._labels_in, fd, place, entries))
            return {"entries": [entry for _, entry in entries], "more": more}

    async def write(self, call: Call, expect: str | None = None, make_folders: bool = False) -> dict[str, object]:
        """files.write: the file is whole on disk under its name when this returns, or was not touched."""
        expect = _checked(expect, may_be_absent=True)
        with _told(call.resource), ExitStack() as held:
            place = self.tree.place(call.resource)
            draft, mode = await self.disk.do(self._begin, held, place, expect, make_folders, _sorted(call.labels))
            async for chunk in call.upload:
                await self.disk.do(draft.write, chunk)
            # Asked again: what a caller read while it streamed may have brought further labels with its chunks.
            await self.disk.do(self._give_name, draft, place, expect, mode, _sorted(call.labels))
            return {"size": draft.size, "sha256": draft.sha256}

    async def delete(self, call: Call, expect: str | None = None) -> dict[str, object]:
        """files.delete: into the root's bin; `bin` says where, and is empty where the setting bin_days is 0."""
        expect = _checked(expect, may_be_absent=False)
        with _told(call.resource):
            place = self.tree.place(call.resource)
            return await self.disk.do(bin_folder.delete, self.tree, place, expect, self.settings.of("bin_days", int))

    # what runs in a thread of the disk -----------------------------------------------------------------------------

    def _begin(
        self, held: ExitStack, place: Place, expect: str | None, make_folders: bool, labels: tuple[str, ...]
    ) -> tuple[Draft, int]:
        """A draft beside the target, and the mode it will get. Refuses early what could not be placed anyhow."""
        name = place.name
        if make_folders:
            self._make_folders(place.folder, labels)
        folder = self.tree.open_folder(held, place.folder)
        found = check_target(folder, name, place.resource)
        if expect == ABSENT and found is not None:
            raise FileRefused("exists", f"{place.resource}: the name is taken.")
        self._remember(place.folder)
        draft = Draft(folder)
        held.callback(draft.drop)
        return draft, found.st_mode & 0o777 if found else 0o666 & ~self.umask

    def _give_name(self, draft: Draft, place: Place, expect: str | None, mode: int, labels: tuple[str, ...]) -> None:
        in_book = bool(labels) and not mark(draft.fd, labels)
        if in_book:  # more marks than true until the rename, never fewer
            self.book.put(place.resource, tuple(sorted({*labels, *self.book.get(place.resource)})))
        draft.settle(mode)
        put(draft, place.name, expect, place.resource)
        self.book.put(place.resource, labels if in_book else ())

    def _make_folders(self, folder: Place, labels: tuple[str, ...]) -> None:
        first = folder.resource.partition("/")[0]
        for depth in range(len(folder.parts)):
            with ExitStack() as held:
                above = Place(
                    resource="/".join((first, *folder.parts[:depth])), root=folder.root, parts=folder.parts[:depth]
                )
                fd = self.tree.open_folder(held, above)
                try:
                    os.mkdir(folder.parts[depth], dir_fd=fd)
                except FileExistsError:
                    continue
                os.fsync(fd)
                made = self.tree.place("/".join((first, *folder.parts[: depth + 1])))
                if labels and not mark(self.tree.open_folder(held, made), labels):
                    self.book.put(made.resource, labels)

    def _labels_of(self, fd: int, place: Place) -> set[str]:
        return {*marks_of(fd), *self.book.get(place.resource)}

    def _labels_at(self, place: Place) -> set[str]:
        """The labels of a file or folder; one that we may not open can have told us nothing but its facts."""
        with ExitStack() as held:
            try:
                return self._labels_of(self._open_either(held, place), place)
            except PermissionError:
                return set(self.book.get(place.resource))

    def _labels_in(self, fd: int, place: Place, entries: folder_view.Entries) -> set[str]:
        """The labels of a folder and of what is shown of it: a name, too, was chosen by somebody."""
        found = self._labels_of(fd, place)
        for real, entry in entries:
            if entry["kind"] in ("file", "folder"):
                below = Place(resource=f"{place.resource}/{real}", root=fd, parts=(real,))
                try:
                    found |= self._labels_at(below)
                except (OSError, FileRefused):
                    continue  # gone, or another kind of thing, since it was listed
        return found

    def _open_either(self, held: ExitStack, place: Place) -> int:
        try:
            return self.tree.open_file(held, place)
        except FileRefused:
            return self.tree.open_folder(held, place)

    def _is_same(self, fd: int, place: Place, before: os.stat_result) -> bool:
        """Whether the name still stands for the file that was read, and that file has not changed."""
        after = os.fstat(fd)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            return False
        try:
            return os.path.samestat(self.tree.look(place), before)
        except OSError:
            return False

    # drafts of killed writes ---------------------------------------------------------------------------------------

    def _remember(self, folder: Place) -> None:
        """Notes on disk, once per folder and life, that a draft may lie there."""
        if folder.resource in self.written:
            return
        with (self.state / WRITTEN).open("a", encoding="utf-8") as file:
            file.write(folder.resource + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.written.add(folder.resource)

    def _sweep(self) -> None:
        """Removes the drafts in every folder that was written to since the last sweep. A root that is gone is tried
        again.
        """
        path = self.state / WRITTEN
        noted = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept: list[str] = []
        for resource in dict.fromkeys(noted):
            with ExitStack() as held:
                try:
                    sweep(self.tree.open_folder(held, self.tree.place(resource)))
                except FileRefused as refused:
                    if refused.code == "unknown root":
                        kept.append(resource)
                except OSError as error:
                    self.log.info("folder not swept", resource=resource, why=from_os(error, resource).text)
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(f"{resource}\n" for resource in kept), encoding="utf-8")
        fresh.replace(path)


def _sorted(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(labels)))


def _checked(expect: str | None, *, may_be_absent: bool) -> str | None:
    if expect is None or (may_be_absent and expect == ABSENT):
        return expect
    if len(expect) == 64 and not expect.strip("0123456789abcdef"):
        return expect
    choices = "a SHA-256 in 64 lower-case hex digits" + (f', or "{ABSENT}"' if may_be_absent else "")
    raise Failure("arguments", f"expect is {choices}.")


@contextmanager
def _told(resource: str) -> Iterator[None]:
    """Errors of the disk become the call's Failed."""
    try:
        yield
    except FileRefused as refused:
        raise Failure(refused.code, refused.text) from None
    except OSError as error:
        meant = from_os(error, resource)
        raise Failure(meant.code, meant.text) from error
