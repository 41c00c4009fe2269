"""`Desk`, the base class of the Hand's parts (acts): roots, disk threads, labels, drafts, and errors turned into Failed.

Each part is a subclass with one `async def` per method: `main` reads and writes whole files, `files_changing` changes
and moves them, `files_searching` walks folders.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Final

import bin_clock
import bin_folder
import folder_view
from beneath import Place, Tree, best_opener
from disk_threads import DiskThreads
from file_refusal import FileRefused, from_os
from label_marks import MarkBook, mark, marks_of
from manifests.capabilities import normalise
from manifests.errors import ResourceInvalid
from runtime import Failure, Hand
from whole_write import ABSENT, Draft, check_target, folder_lock, put, sweep
from wire.labels import join

WRITTEN: Final = "folders-written"
"""File in the state folder: the folders that may hold the draft of a killed write, one resource per line."""


class Desk(Hand):
    """Access to the granted roots, and the labels of the files in them."""

    async def start(self) -> None:
        """Opens the roots, and removes the drafts of killed writes and expired files in the bins."""
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self.disk = DiskThreads()
        self.tree = Tree(self.roots, best_opener())
        self.noted_folders: set[str] = set()
        self.book = await self.disk.do(MarkBook, self.state)
        await self.disk.do(self._sweep)
        await self.disk.do(self._empty_bins)

    async def stop(self) -> None:
        """Ends the disk threads."""
        self.disk.close()

    def below(self, place: Place, way: str) -> Place:
        """The place at a relative path beneath another. Raises Failure(arguments) if that path has no normal form."""
        try:
            return self.tree.place(normalise("path", f"{place.resource}/{way}"))
        except ResourceInvalid as error:
            raise Failure("arguments", f"{way!r} is not a path beneath {place.resource}: {error}.") from None

    # run in a disk thread ----------------------------------------------------------------------------------------

    def begin(
        self, held: ExitStack, place: Place, expect: str | None, make_folders: bool, labels: tuple[str, ...]
    ) -> tuple[Draft, int]:
        """(a draft beside the target, the mode it will get). Raises FileRefused early if it could not be placed anyway."""
        name = place.name
        if make_folders:
            self.make_folders_to(place.folder, labels)
        folder = self.tree.open_folder(held, place.folder)
        found = check_target(folder, name, place.resource)
        if expect == ABSENT and found is not None:
            raise FileRefused("exists", f"{place.resource}: the name is taken.")
        self._note_draft_folder(place.folder)
        draft = Draft(folder)
        held.callback(draft.drop)
        return draft, found.st_mode & 0o777 if found else 0o666 & ~self.umask

    def give_name(self, draft: Draft, place: Place, expect: str | None, mode: int, labels: tuple[str, ...]) -> None:
        """Labels the draft and gives it its name; both are on disk when this returns."""
        in_book = bool(labels) and not mark(draft.fd, labels)
        draft.settle(mode)
        put(draft, place.name, expect, place.resource, self._recording_labels(draft, place, labels if in_book else ()))

    @contextmanager
    def _recording_labels(self, draft: Draft, place: Place, labels: tuple[str, ...]) -> Iterator[None]:
        """Wraps a rename: before it, the book gains the new labels; after it, it holds only those. Never too few.

        Checks that the folder was not moved: had it been, the labels just noted would be under its old path.
        """
        self.book.add(place.resource, labels)
        self.tree.must_lie_there(draft.folder, place.folder)
        yield
        self.book.put(place.resource, labels)

    def make_folders_to(self, folder: Place, labels: tuple[str, ...]) -> None:
        """Makes a folder and its missing parents; each new one gets the labels."""
        first = folder.resource.partition("/")[0]
        for depth in range(len(folder.parts)):
            with ExitStack() as held:
                above = Place(
                    resource="/".join((first, *folder.parts[:depth])), root=folder.root, parts=folder.parts[:depth]
                )
                fd = self.tree.open_folder(held, above)
                if _is_there(fd, folder.parts[depth]):
                    continue
                with folder_lock(fd, above.resource):
                    try:
                        os.mkdir(folder.parts[depth], dir_fd=fd)
                    except FileExistsError:
                        continue
                    os.fsync(fd)
                    made = self.tree.place("/".join((first, *folder.parts[: depth + 1])))
                    if labels and not mark(self.tree.open_folder(held, made), labels):
                        self.book.put(made.resource, labels)

    def labels_of(self, fd: int, place: Place) -> set[str]:
        """The labels of an open file or folder: its attribute's and the book's."""
        return {*marks_of(fd), *self.book.get(place.resource)}

    def open_with_labels(
        self, held: ExitStack, place: Place, open_it: Callable[[ExitStack, Place], int]
    ) -> tuple[int, set[str]]:
        """(descriptor, labels). The book is keyed by path, so this retries until the path still leads to what is open."""
        while True:
            fd = open_it(held, place)
            labels = self.labels_of(fd, place)
            if os.path.samestat(self.tree.look(place), os.fstat(fd)):
                return fd, labels

    def labels_at(self, place: Place) -> set[str]:
        """The labels of a file or folder; only the book's if we may not open it, since then its content stays unread."""
        with ExitStack() as held:
            try:
                return self.open_with_labels(held, place, self.open_either)[1]
            except PermissionError:
                return set(self.book.get(place.resource))

    def labels_in(self, fd: int, place: Place, entries: folder_view.Entries) -> set[str]:
        """The labels of all listed entries: their writer chose the names that the caller sees."""
        found: set[str] = set()
        for real, entry in entries:
            if entry["kind"] in ("file", "folder"):
                below = Place(resource=f"{place.resource}/{real}", root=fd, parts=(real,))
                try:
                    found |= self.labels_at(below)
                except (OSError, FileRefused):
                    continue  # removed or replaced since it was listed
        return found

    def open_either(self, held: ExitStack, place: Place) -> int:
        """Opens a file or a folder."""
        try:
            return self.tree.open_file(held, place)
        except FileRefused:
            return self.tree.open_folder(held, place)

    def _empty_bins(self) -> None:
        """Removes expired files from the bins of all roots, by `bin_clock`."""
        now = bin_clock.trusted_time(self.state / bin_clock.NOTED, datetime.now(UTC))
        for name, root in self.roots.items():
            self._empty_bin(name, root, now)

    def _empty_bin(self, name: str, root: int, now: datetime) -> None:
        """Removes expired files from one root's bin. A bin that cannot be read is logged and skipped."""
        try:
            gone = bin_folder.remove_expired(root, now, self.settings.of("bin_days", int))
        except OSError as error:
            self.log.warning("bin not emptied", root=name, why=from_os(error, f"{name}/{bin_folder.BIN}").text)
            return
        for one in gone:
            self.book.put(bin_folder.resource_of(name, one), ())

    # drafts of killed writes ---------------------------------------------------------------------------------------

    def _note_draft_folder(self, folder: Place) -> None:
        """Notes on disk, once per folder and process, that a draft may lie there."""
        if folder.resource in self.noted_folders:
            return
        with (self.state / WRITTEN).open("a", encoding="utf-8") as file:
            file.write(f"\n{folder.resource}\n")  # newline first, too: a full disk may have cut the line before
            file.flush()
            os.fsync(file.fileno())
        self.noted_folders.add(folder.resource)

    def _sweep(self) -> None:
        """Removes drafts from every folder written to since the last sweep. Folders of a missing root stay noted."""
        path = self.state / WRITTEN
        noted = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        kept: list[str] = []
        for resource in filter(None, dict.fromkeys(noted)):
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


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def message_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels sorted, each once; `*` alone if a message cannot carry so many."""
    return tuple(sorted(join(tuple(labels))))


def check_expect(expect: str | None, *, may_be_absent: bool) -> str | None:
    """Returns the argument `expect`. Raises Failure unless it is a digest (or `absent`, where that is allowed)."""
    if expect is None or (may_be_absent and expect == ABSENT):
        return expect
    if len(expect) == 64 and not expect.strip("0123456789abcdef"):
        return expect
    choices = "a SHA-256 in 64 lower-case hex digits" + (f', or "{ABSENT}"' if may_be_absent else "")
    raise Failure("arguments", f"expect is {choices}.")


@contextmanager
def as_failures(resource: str) -> Iterator[None]:
    """Turns FileRefused and OSError into the call's Failed."""
    try:
        yield
    except FileRefused as refused:
        raise Failure(refused.code, refused.text) from None
    except OSError as error:
        meant = from_os(error, resource)
        raise Failure(meant.code, meant.text) from error
