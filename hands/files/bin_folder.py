"""Deletes files by moving them into their root's bin, and removes those whose time there is over (acts).

An agent that misunderstands can delete a thousand files in a second, and a prompt that says "ask first" stops nobody. So
a deleted file is renamed to `.maniple-bin/TIME-RANDOM-NAME` in its root; listings hide the bin and no resource reaches
it. The note `TIME-RANDOM.from` beside it holds the file's path, so that `restore` can move it back there and nowhere
else: a file in the bin is still reached by its own resource only. Its owner may also take it back with `mv`. After
`bin_days`, by `bin_clock`, it is removed at the next start. `bin_days = 0` removes at once.

`expect` works as in whole_write: move the file away, check what was moved, and move it back if it is not the file that
was compared.
"""

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

from beneath import RESERVED, Place, Tree, must_be_file
from file_refusal import FileRefused
from label_marks import marks_of
from whole_write import check_target, compared, conflict, conflict_name, folder_lock, move_new, remove

BIN: Final = f"{RESERVED}bin"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_STAMP_SIZE: Final = 16
_FRONT: Final = _STAMP_SIZE + 1 + 8
"""Length of TIME-RANDOM, which begins every name in the bin, in characters."""

_NOTE: Final = ".from"
_NOTE_MOST: Final = 2048
_OURS: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}[-.][^\ud800-\udfff]*")

BeforeMove = Callable[[str], None]
"""Called with the file's resource in the bin just before the file is moved there, or back."""

_NO_ROOM: Final = (
    "the disk or the quota is full, and the bin needs room to note where a file came from. With the setting "
    "bin_days = 0, files.delete uses no bin."
)


def bin_name(name: str, now: datetime, random: bytes) -> str:
    """A file's name in the bin: TIME-RANDOM-NAME. At most 255 bytes; cut between characters."""
    short = name.encode()[:200].decode("utf-8", "ignore")
    return f"{now.astimezone(UTC).strftime(_STAMP)}-{random.hex()}-{short}"


def is_expired(name: str, now: datetime, days: int) -> bool:
    """Whether a file of this name has lain in the bin for `days`. False for names that the bin did not give."""
    if not _OURS.fullmatch(name):
        return False
    try:
        put = datetime.strptime(name[:_STAMP_SIZE], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return now - put >= timedelta(days=days)


def resource_of(root: str, name: str) -> str:
    """The resource under which this Hand keeps the labels of a file in the bin; no caller reaches it."""
    return f"{root}/{BIN}/{name}"


def delete(tree: Tree, place: Place, expect: str | None, days: int, before: BeforeMove) -> dict[str, object]:
    """Moves a file into the bin, or removes it if `days` is 0. Returns the reply of `files.delete`.

    before: called before the move with the file's resource in the bin, "" if `days` is 0. Raises FileRefused, OSError.
    """
    with ExitStack() as held:
        folder = tree.open_folder(held, place.folder)
        found = check_target(folder, place.name, place.resource)
        if found is None:
            raise FileRefused("not found", f"{place.resource}: there is nothing of that name.")
        target, new, shown = _destination(held, place, folder, days, compares=expect is not None)
        with folder_lock(folder, place.resource):
            note = _write_note(target, new, place) if days else ""
            try:
                before(shown)
                tree.must_lie_there(folder, place.folder)
                if expect is None:
                    move_new(folder, place.name, target, new)
                else:
                    _move_expected(folder, place, expect, target, new)
            except BaseException:
                if note:
                    remove(target, note)
                raise
        if not days:
            os.unlink(new, dir_fd=target)
        os.fsync(folder)
        if target != folder:
            os.fsync(target)
        return {"size": found.st_size, "bin": shown}


def _write_note(bin_fd: int, new: str, place: Place) -> str:
    """Writes the note that holds the file's path and returns the note's name. A note without a file means nothing."""
    name = new[:_FRONT] + _NOTE
    try:
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=bin_fd)
        with os.fdopen(fd, "wb") as file:
            file.write("/".join(place.parts).encode())
            file.flush()
            os.fsync(fd)
    except OSError as error:
        remove(bin_fd, name)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FileRefused("disk full", f"{place.resource}: {_NO_ROOM}") from None
        raise
    return name


def _read_note(bin_fd: int, name: str) -> str | None:
    """The path, from the root, that a file in the bin came from; None without a readable note."""
    try:
        fd = os.open(name[:_FRONT] + _NOTE, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=bin_fd)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        raw = file.read(_NOTE_MOST) if stat.S_ISREG(os.fstat(fd).st_mode) else b"\xff"
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _newest_first(bin_fd: int) -> list[str]:
    """The names of the files in the bin, the last deleted first."""
    ours = (name for name in os.listdir(bin_fd) if _OURS.fullmatch(name) and name[_FRONT:] != _NOTE)
    return sorted(ours, key=lambda name: (name[:_STAMP_SIZE], _deleted_ns(bin_fd, name)), reverse=True)


def _deleted_ns(bin_fd: int, name: str) -> int:
    """When the file was deleted, in ns: its note's mtime, finer than the TIME in its name. 0 without a note."""
    try:
        return os.stat(name[:_FRONT] + _NOTE, dir_fd=bin_fd, follow_symlinks=False).st_mtime_ns
    except OSError:
        return 0


def list_deleted(place: Place, most: int) -> tuple[list[dict[str, object]], set[str]]:
    """(files deleted at or beneath a place, newest first, at most `most`; their labels)."""
    found: list[dict[str, object]] = []
    labels: set[str] = set()
    root, here = place.resource.partition("/")[0], "/".join(place.parts)
    with ExitStack() as held:
        bin_fd = open_bin(held, place.root, make=False)
        if bin_fd is None:
            return found, labels
        for name in _newest_first(bin_fd):
            way = _read_note(bin_fd, name)
            if way is None or not (way == here or not here or way.startswith(f"{here}/")):
                continue
            try:
                facts = os.stat(name, dir_fd=bin_fd, follow_symlinks=False)
            except OSError:
                continue  # restored meanwhile
            labels.update(_labels_of(bin_fd, name))
            stamp = datetime.strptime(name[:_STAMP_SIZE], _STAMP).replace(tzinfo=UTC)
            deleted = stamp.isoformat().removesuffix("+00:00") + "Z"
            found.append({"path": f"{root}/{way}", "bin": name, "deleted": deleted, "size": facts.st_size})
            if len(found) == most:
                break
    return found, labels


def _labels_of(bin_fd: int, name: str) -> tuple[str, ...]:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=bin_fd)
    except OSError:
        return ()
    try:
        return marks_of(fd)
    finally:
        os.close(fd)


def restore(tree: Tree, place: Place, name: str, before: BeforeMove) -> dict[str, object]:
    """Moves back the file last deleted at this very path, or the one called `name` in the bin. Replaces no file.

    before: called with its resource in the bin before it is moved. Raises FileRefused or OSError.
    """
    new, here = place.name, "/".join(place.parts)
    with ExitStack() as held:
        bin_fd = open_bin(held, place.root, make=False)
        found = [] if bin_fd is None else [one for one in _newest_first(bin_fd) if name in ("", one)]
        one = next((one for one in found if bin_fd is not None and _read_note(bin_fd, one) == here), None)
        if one is None or bin_fd is None:
            raise FileRefused("not found", f"{place.resource}: nothing that was deleted there lies in the bin.")
        facts = os.stat(one, dir_fd=bin_fd, follow_symlinks=False)
        must_be_file(facts, place.resource)
        folder = tree.open_folder(held, place.folder)
        with folder_lock(folder, place.resource):
            before(resource_of(place.resource.partition("/")[0], one))
            tree.must_lie_there(folder, place.folder)
            move_new(bin_fd, one, folder, new)
        remove(bin_fd, one[:_FRONT] + _NOTE)
        os.fsync(folder)
        os.fsync(bin_fd)
        return {"size": facts.st_size, "bin": one}


def _destination(held: ExitStack, place: Place, folder: int, days: int, *, compares: bool) -> tuple[int, str, str]:
    """(folder's descriptor, new name, resource in the bin or "") for a file that is being deleted.

    compares: the file may have to be moved back, so it gets no name that `sweep` removes.
    """
    if not days:
        return folder, f"{RESERVED}{os.urandom(8).hex()}.{'aside' if compares else 'part'}", ""
    bin_fd = open_bin(held, place.root, make=True)
    assert bin_fd is not None  # make=True
    new = bin_name(place.name, datetime.now(UTC), os.urandom(4))
    return bin_fd, new, resource_of(place.resource.partition("/")[0], new)


def _move_expected(folder: int, place: Place, expect: str, target: int, new: str) -> None:
    """Moves the file if it is the expected one; another one, or one that cannot be read again, gets its own name back."""
    with compared(folder, place.name, expect, place.resource) as seen:
        move_new(folder, place.name, target, new)
        try:
            unchanged = seen.is_still(target, new)
        except OSError:
            _move_back(folder, place.name, target, new)
            raise
        if not unchanged:
            _move_back(folder, place.name, target, new)
            raise conflict(place.resource)


def _move_back(folder: int, name: str, target: int, new: str) -> None:
    """Gives a file its own name again, or a similar one if another program took that meanwhile."""
    try:
        move_new(target, new, folder, name)
    except FileExistsError:
        move_new(target, new, folder, conflict_name(name))


def open_bin(held: ExitStack, root: int, *, make: bool) -> int | None:
    """Opens a root's bin; None if it has none. `held` closes it. Raises OSError if the bin is a link."""
    if make:
        try:
            os.mkdir(BIN, 0o700, dir_fd=root)
        except FileExistsError:
            pass
    try:
        fd = os.open(BIN, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        return None
    held.callback(os.close, fd)
    return fd


def remove_expired(root: int, now: datetime, days: int) -> list[str]:
    """Removes from a root's bin the files that are `days` old. Returns their names. Raises OSError if the bin is a link."""
    removed: list[str] = []
    with ExitStack() as held:
        bin_fd = open_bin(held, root, make=False)
        if bin_fd is None:
            return removed
        for name in os.listdir(bin_fd):
            if is_expired(name, now, days):
                try:
                    os.unlink(name, dir_fd=bin_fd)
                except OSError:
                    continue  # a folder, or not ours to remove: leave it
                if name[_FRONT:] != _NOTE:
                    removed.append(name)
    return removed
