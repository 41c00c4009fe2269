"""What every part of the Hand stands on (acts): roots, threads of the disk, labels, drafts, and errors as ends of calls.

A part is a class on top of Desk with an `async def` for each of its methods: `main` reads and writes whole files,
`files_changing` changes and moves, `files_searching` walks folders.
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
"""In the state folder: the folders that may hold a killed write's draft, one resource per line."""


class Desk(Hand):
    """The granted roots, and what is known of what lies in them."""

    async def start(self) -> None:
        """Removes what killed writes left, and what lay in the bins long enough."""
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self.disk = DiskThreads()
        self.tree = Tree(self.roots, best_opener())
        self.written: set[str] = set()
        self.book = await self.disk.do(MarkBook, self.state)
        await self.disk.do(self._sweep)
        await self.disk.do(self._empty_bins)

    async def stop(self) -> None:
        """Ends the threads."""
        self.disk.close()

    def below(self, place: Place, way: str) -> Place:
        """What lies beneath a place, by the way from there. Raises Failure for a way that no resource could have."""
        try:
            return self.tree.place(normalise("path", f"{place.resource}/{way}"))
        except ResourceInvalid as error:
            raise Failure("arguments", f"{way!r} is not a path beneath {place.resource}: {error}.") from None

    # what runs in a thread of the disk -----------------------------------------------------------------------------

    def begin(
        self, held: ExitStack, place: Place, expect: str | None, make_folders: bool, labels: tuple[str, ...]
    ) -> tuple[Draft, int]:
        """A draft beside the target, and the mode it will get. Refuses early what could not be placed anyhow."""
        name = place.name
        if make_folders:
            self.make_way(place.folder, labels)
        folder = self.tree.open_folder(held, place.folder)
        found = check_target(folder, name, place.resource)
        if expect == ABSENT and found is not None:
            raise FileRefused("exists", f"{place.resource}: the name is taken.")
        self._remember(place.folder)
        draft = Draft(folder)
        held.callback(draft.drop)
        return draft, found.st_mode & 0o777 if found else 0o666 & ~self.umask

    def give_name(self, draft: Draft, place: Place, expect: str | None, mode: int, labels: tuple[str, ...]) -> None:
        """Marks the draft and gives it its name, on disk when this returns."""
        in_book = bool(labels) and not mark(draft.fd, labels)
        draft.settle(mode)
        put(draft, place.name, expect, place.resource, self._noting(draft, place, labels if in_book else ()))

    @contextmanager
    def _noting(self, draft: Draft, place: Place, labels: tuple[str, ...]) -> Iterator[None]:
        """Around the moment in which a name gets new content: more marks than true until then, never fewer.

        A folder that moves after it was seen where it lay takes along what was written down before.
        """
        self.book.add(place.resource, labels)
        self.tree.must_lie_there(draft.folder, place.folder)
        yield
        self.book.put(place.resource, labels)

    def make_way(self, folder: Place, labels: tuple[str, ...]) -> None:
        """Makes a folder and those above it which are not there; each gets the labels."""
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
        """The labels of something that is open."""
        return {*marks_of(fd), *self.book.get(place.resource)}

    def opened(self, held: ExitStack, place: Place, way_in: Callable[[ExitStack, Place], int]) -> tuple[int, set[str]]:
        """Something open, with its labels. What is written down is looked up by name, so the name must still be its."""
        while True:
            fd = way_in(held, place)
            labels = self.labels_of(fd, place)
            if os.path.samestat(self.tree.look(place), os.fstat(fd)):
                return fd, labels

    def labels_at(self, place: Place) -> set[str]:
        """The labels of a file or folder; one that we may not open can have told us nothing but its facts."""
        with ExitStack() as held:
            try:
                return self.opened(held, place, self.open_either)[1]
            except PermissionError:
                return set(self.book.get(place.resource))

    def labels_in(self, fd: int, place: Place, entries: folder_view.Entries) -> set[str]:
        """The labels of what is shown of a folder: a name, too, was chosen by somebody."""
        found: set[str] = set()
        for real, entry in entries:
            if entry["kind"] in ("file", "folder"):
                below = Place(resource=f"{place.resource}/{real}", root=fd, parts=(real,))
                try:
                    found |= self.labels_at(below)
                except (OSError, FileRefused):
                    continue  # gone, or another kind of thing, since it was listed
        return found

    def open_either(self, held: ExitStack, place: Place) -> int:
        """A file or a folder."""
        try:
            return self.tree.open_file(held, place)
        except FileRefused:
            return self.tree.open_folder(held, place)

    def _empty_bins(self) -> None:
        """Removes what lay in the roots' bins long enough, by a clock that can be believed."""
        now = bin_clock.believed(self.state / bin_clock.NOTED, datetime.now(UTC))
        for name, root in self.roots.items():
            self._empty_bin(name, root, now)

    def _empty_bin(self, name: str, root: int, now: datetime) -> None:
        """Removes what lay in a root's bin long enough. A bin that cannot be looked into keeps nobody from other files."""
        try:
            gone = bin_folder.empty(root, now, self.settings.of("bin_days", int))
        except OSError as error:
            self.log.warning("bin not emptied", root=name, why=from_os(error, f"{name}/{bin_folder.BIN}").text)
            return
        for one in gone:
            self.book.put(bin_folder.resource_of(name, one), ())

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


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels, each once; for more than a message can carry the one that stands for all."""
    return tuple(sorted(join(tuple(labels))))


def checked(expect: str | None, *, may_be_absent: bool) -> str | None:
    """The argument `expect`. Raises Failure for what is no digest."""
    if expect is None or (may_be_absent and expect == ABSENT):
        return expect
    if len(expect) == 64 and not expect.strip("0123456789abcdef"):
        return expect
    choices = "a SHA-256 in 64 lower-case hex digits" + (f', or "{ABSENT}"' if may_be_absent else "")
    raise Failure("arguments", f"expect is {choices}.")


@contextmanager
def as_failures(resource: str) -> Iterator[None]:
    """Errors of the disk become the call's Failed."""
    try:
        yield
    except FileRefused as refused:
        raise Failure(refused.code, refused.text) from None
    except OSError as error:
        meant = from_os(error, resource)
        raise Failure(meant.code, meant.text) from error
