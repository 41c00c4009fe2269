"""Deletes by moving into the root's bin, and empties the bin of what has lain there long enough (acts).

An agent that misunderstands can delete a thousand files in a second, and asking first in a prompt is not a gate. So a
deleted file goes to `.maniple-bin/` in its root, one rename, under `TIME-RANDOM-NAME`; listings hide it and no
resource reaches it. Its owner takes it back with `mv`. After `bin_days` it is removed at the next start. `bin_days =
0` removes at once.

`expect` is kept as in whole_write: move away first, look at what came away, and move it back if it is not what was
compared.
"""

import os
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

from beneath import RESERVED, Place, Tree
from file_refusal import FileRefused
from whole_write import check_target, compared, conflict, folder_lock, move_new

BIN: Final = f"{RESERVED}bin"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_STAMP_SIZE: Final = 16


def bin_name(name: str, now: datetime, random: bytes) -> str:
    """The name in the bin of a file that was called so. At most 255 bytes, whole characters."""
    short = name.encode()[:200].decode("utf-8", "ignore")
    return f"{now.astimezone(UTC).strftime(_STAMP)}-{random.hex()}-{short}"


def is_due(name: str, now: datetime, days: int) -> bool:
    """Whether a name in the bin has lain there for so many days. Names that are not the bin's own never are."""
    try:
        put = datetime.strptime(name[:_STAMP_SIZE], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return now - put >= timedelta(days=days)


def delete(tree: Tree, place: Place, expect: str | None, days: int) -> dict[str, object]:
    """Moves a file into the bin, or removes it. What `files.delete` answers. Raises FileRefused or OSError."""
    with ExitStack() as held:
        folder = tree.open_folder(held, place.folder)
        found = check_target(folder, place.name, place.resource)
        if found is None:
            raise FileRefused("not found", f"{place.resource}: there is nothing of that name.")
        target, new, shown = _where_to(held, place, folder, days)
        with folder_lock(folder, place.resource):
            if expect is None:
                move_new(folder, place.name, target, new)
            else:
                _move_expected(folder, place, expect, target, new)
        if not days:
            os.unlink(new, dir_fd=target)
        os.fsync(folder)
        if target != folder:
            os.fsync(target)
        return {"size": found.st_size, "bin": shown}


def _where_to(held: ExitStack, place: Place, folder: int, days: int) -> tuple[int, str, str]:
    """(folder's descriptor, new name, where its owner finds it) of what is deleted."""
    if not days:
        return folder, f"{RESERVED}{os.urandom(8).hex()}.part", ""
    bin_fd = open_bin(held, place.root, make=True)
    assert bin_fd is not None  # made just now
    new = bin_name(place.name, datetime.now(UTC), os.urandom(4))
    return bin_fd, new, f"{place.resource.partition('/')[0]}/{BIN}/{new}"


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


def empty(root: int, now: datetime, days: int) -> int:
    """Removes from a root's bin what has lain there for so many days; how many files."""
    gone = 0
    with ExitStack() as held:
        bin_fd = open_bin(held, root, make=False)
        if bin_fd is None:
            return 0
        for name in os.listdir(bin_fd):
            if is_due(name, now, days):
                try:
                    os.unlink(name, dir_fd=bin_fd)
                    gone += 1
                except OSError:
                    continue  # a folder, or not ours to remove: it stays where its owner put it
    return gone
