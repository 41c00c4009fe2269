"""Moves a file or folder to a free path beneath the same root, in one step (acts).

Bytes, mode, owner and attributes stay; nothing is ever replaced, so a move loses nothing. Links and special files are
not moved. The name is checked again right after the move; if another program swapped the file just then, the move is
undone. Both folders are locked meanwhile, in one order for everybody, so that two moves in opposite directions cannot
deadlock.
"""

import os
import stat
from contextlib import AbstractContextManager, ExitStack
from typing import Final

from beneath import Place, Tree, kind_of
from file_refusal import FileRefused
from whole_write import conflict, folder_lock, rename_flags

_NOREPLACE: Final = 1


def must_be_movable(found: os.stat_result, resource: str) -> str:
    """Returns "file" or "folder". Raises FileRefused for anything else."""
    if stat.S_ISLNK(found.st_mode):
        raise FileRefused("symbolic link", f"{resource}: it is a symbolic link; links are never followed nor moved.")
    kind = kind_of(found.st_mode)
    if kind not in ("file", "folder"):
        raise FileRefused("not a file", f"{resource}: it is a {kind}; only files and folders are moved.")
    return kind


def move(tree: Tree, old: Place, new: Place, seen: os.stat_result, noting: AbstractContextManager[object]) -> None:
    """Moves `old` to `new`. seen: the stat of the file to be moved. Raises FileRefused or OSError; then nothing was moved.

    noting: entered before the move and left after it, while both folders are locked.
    """
    name, target = old.name, new.name
    with ExitStack() as held:
        source, folder = tree.open_folder(held, old.folder), tree.open_folder(held, new.folder)
        folders = {os.fstat(fd).st_ino: fd for fd in (source, folder)}  # by inode: never across filesystems
        with ExitStack() as locks:
            for _, fd in sorted(folders.items()):
                locks.enter_context(folder_lock(fd, old.resource))
            locks.enter_context(noting)
            tree.must_lie_there(source, old.folder)
            tree.must_lie_there(folder, new.folder)
            rename_flags(source, name, folder, target, _NOREPLACE)
            if not os.path.samestat(os.stat(target, dir_fd=folder, follow_symlinks=False), seen):
                rename_flags(folder, target, source, name, _NOREPLACE)
                raise conflict(old.resource)
        os.fsync(source)
        os.fsync(folder)
