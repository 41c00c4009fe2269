"""Moves a file or folder from one way beneath a root to another that is free, in one step (acts).

What is moved keeps its bytes, mode, owner and attributes; nothing is ever replaced, so a move can lose nothing. Links
and what is no file are not moved. The name is looked at once more in the moment of the move; should another program
swap it for something else just then, that is moved back. Both folders are locked meanwhile, in one order for
everybody, so that two moves the opposite ways do not wait for each other.
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
    """ "file" or "folder". Raises FileRefused for anything else."""
    if stat.S_ISLNK(found.st_mode):
        raise FileRefused("symbolic link", f"{resource}: it is a symbolic link; links are never followed nor moved.")
    kind = kind_of(found.st_mode)
    if kind not in ("file", "folder"):
        raise FileRefused("not a file", f"{resource}: it is a {kind}; only files and folders are moved.")
    return kind


def move(tree: Tree, old: Place, new: Place, seen: os.stat_result, noting: AbstractContextManager[object]) -> None:
    """The move. seen: the facts of what is to be moved. Raises FileRefused or OSError; then nothing was moved.

    noting: entered before it and left after it, while no other call gives a name in either folder.
    """
    name, target = old.name, new.name
    with ExitStack() as held:
        source, folder = tree.open_folder(held, old.folder), tree.open_folder(held, new.folder)
        folders = {os.fstat(fd).st_ino: fd for fd in (source, folder)}  # of one filesystem, else nothing is moved
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
