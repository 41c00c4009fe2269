"""Deletes by moving into the root's bin, and empties the bin of what has lain there long enough (acts).

An agent that misunderstands can delete a thousand files in a second, and asking first in a prompt is not a gate. So a
deleted file goes to `.maniple-bin/` in its root, one rename, under `TIME-RANDOM-NAME`; listings hide it and no
resource reaches it. Where it lay stands beside it, in `TIME-RANDOM.from`, so that `restore` can take it back there and
nowhere else: a file in the bin is still reached by its own resource only. Its owner may also take it back with `mv`.
After `bin_days` by `bin_clock` it is removed at the next start. `bin_days = 0` removes at once.

`expect` is kept as in whole_write: move away first, look at what came away, and move it back if it is not what was
compared.
"""

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
from whole_write import check_target, compared, conflict, folder_lock, move_new, remove

BIN: Final = f"{RESERVED}bin"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_STAMP_SIZE: Final = 16
_FRONT: Final = _STAMP_SIZE + 1 + 8
"""Signs of a name in the bin before the file's own: TIME-RANDOM."""

_NOTE: Final = ".from"
_NOTE_MOST: Final = 2048
_OURS: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}[-.][^\ud800-\udfff]*")

Moving = Callable[[str], None]
"""Told the resource in the bin of what is about to be moved there, or back."""


def bin_name(name: str, now: datetime, random: bytes) -> str:
    """The name in the bin of a file that was called so. At most 255 bytes, whole characters."""
    short = name.encode()[:200].decode("utf-8", "ignore")
    return f"{now.astimezone(UTC).strftime(_STAMP)}-{random.hex()}-{short}"


def is_due(name: str, now: datetime, days: int) -> bool:
    """Whether a name in the bin has lain there for so many days. Names that are not the bin's own never are."""
    if not _OURS.fullmatch(name):
        return False
    try:
        put = datetime.strptime(name[:_STAMP_SIZE], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return now - put >= timedelta(days=days)


def resource_of(root: str, name: str) -> str:
    """What a file in the bin is called here; no caller reaches it by that."""
    return f"{root}/{BIN}/{name}"


def delete(tree: Tree, place: Place, expect: str | None, days: int, before: Moving) -> dict[str, object]:
    """Moves a file into the bin, or removes it. What `files.delete` answers. Raises FileRefused or OSError.

    before: told what it will be called in the bin, "" where it comes into none, before it is moved.
    """
    with ExitStack() as held:
        folder = tree.open_folder(held, place.folder)
        found = check_target(folder, place.name, place.resource)
        if found is None:
            raise FileRefused("not found", f"{place.resource}: there is nothing of that name.")
        target, new, shown = _where_to(held, place, folder, days, compares=expect is not None)
        with folder_lock(folder, place.resource):
            note = _noted(target, new, place) if days else ""
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


def _noted(bin_fd: int, new: str, place: Place) -> str:
    """Writes down where it lay, before it is moved: the note's name. A note without its file is nothing."""
    name = new[:_FRONT] + _NOTE
    fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=bin_fd)
    with os.fdopen(fd, "wb") as file:
        file.write("/".join(place.parts).encode())
        file.flush()
        os.fsync(fd)
    return name


def _read_note(bin_fd: int, name: str) -> str | None:
    """Where it lay, from its root; None for what has no note that can be read."""
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


def _names(bin_fd: int) -> list[str]:
    """What lies in the bin, the last one first."""
    ours = (name for name in os.listdir(bin_fd) if _OURS.fullmatch(name) and name[_FRONT:] != _NOTE)
    return sorted(ours, key=lambda name: (name[:_STAMP_SIZE], _noted_at(bin_fd, name)), reverse=True)


def _noted_at(bin_fd: int, name: str) -> int:
    """When it was deleted, finer than its name says it."""
    try:
        return os.stat(name[:_FRONT] + _NOTE, dir_fd=bin_fd, follow_symlinks=False).st_mtime_ns
    except OSError:
        return 0


def contents(place: Place, most: int) -> tuple[list[dict[str, object]], set[str]]:
    """What was deleted at a place or beneath it, the last one first, at most so many; and its labels."""
    found: list[dict[str, object]] = []
    labels: set[str] = set()
    root, here = place.resource.partition("/")[0], "/".join(place.parts)
    with ExitStack() as held:
        bin_fd = open_bin(held, place.root, make=False)
        if bin_fd is None:
            return found, labels
        for name in _names(bin_fd):
            way = _read_note(bin_fd, name)
            if way is None or not (way == here or not here or way.startswith(f"{here}/")):
                continue
            try:
                facts = os.stat(name, dir_fd=bin_fd, follow_symlinks=False)
            except OSError:
                continue  # taken back meanwhile
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


def restore(tree: Tree, place: Place, name: str, before: Moving) -> dict[str, object]:
    """Takes back what was deleted at this very place, the last one or that of this name. Raises FileRefused, OSError.

    A name that is taken is never replaced. before: told what it is called in the bin, before it is moved.
    """
    new, here = place.name, "/".join(place.parts)
    with ExitStack() as held:
        bin_fd = open_bin(held, place.root, make=False)
        found = [] if bin_fd is None else [one for one in _names(bin_fd) if name in ("", one)]
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


def _where_to(held: ExitStack, place: Place, folder: int, days: int, *, compares: bool) -> tuple[int, str, str]:
    """(folder's descriptor, new name, where its owner finds it) of what is deleted.

    compares: it may yet come back, so its name is not one of those that a sweep removes.
    """
    if not days:
        return folder, f"{RESERVED}{os.urandom(8).hex()}.{'aside' if compares else 'part'}", ""
    bin_fd = open_bin(held, place.root, make=True)
    assert bin_fd is not None  # made just now
    new = bin_name(place.name, datetime.now(UTC), os.urandom(4))
    return bin_fd, new, resource_of(place.resource.partition("/")[0], new)


def _move_expected(folder: int, place: Place, expect: str, target: int, new: str) -> None:
    with compared(folder, place.name, expect, place.resource) as seen:
        move_new(folder, place.name, target, new)
        if seen.is_still(target, new):
            return
        try:
            move_new(target, new, folder, place.name)
        except FileExistsError:
            keep = f"{place.name[:60]}.conflict-{os.urandom(4).hex()}"
            move_new(target, new, folder, keep)
        raise conflict(place.resource)


def open_bin(held: ExitStack, root: int, *, make: bool) -> int | None:
    """The bin of a root, None where there is none. `held` closes it. A bin that is a link is an error."""
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


def empty(root: int, now: datetime, days: int) -> list[str]:
    """Removes from a root's bin what has lain there for so many days; which files. Raises OSError for a bin that is none."""
    gone: list[str] = []
    with ExitStack() as held:
        bin_fd = open_bin(held, root, make=False)
        if bin_fd is None:
            return gone
        for name in os.listdir(bin_fd):
            if is_due(name, now, days):
                try:
                    os.unlink(name, dir_fd=bin_fd)
                except OSError:
                    continue  # a folder, or not ours to remove: it stays where its owner put it
                if name[_FRONT:] != _NOTE:
                    gone.append(name)
    return gone
