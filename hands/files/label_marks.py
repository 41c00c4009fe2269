"""Keeps on a file the labels of the run that wrote it, so that whoever reads it gets them back (acts).

Without this a file would be a laundry: text from the web, written to a file and read again, would have lost its mark.
Labels lie in the extended attribute `user.maniple.labels` of the file, which moves with it. For filesystems that keep
none, they lie in `labels.jsonl` in this service's state, by resource. A label comes off only when the content is
replaced.

What this cannot see: the owner copying a file with a tool that does not copy attributes.
"""

import errno
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from wire.labels import ANY, join
from wire.limits import LABEL_MAX

ATTRIBUTE: Final = "user.maniple.labels"
FILE: Final = "labels.jsonl"
_NO_ATTRIBUTES: Final = (errno.EOPNOTSUPP, errno.ENOSYS)
_TOO_MUCH: Final = (errno.ENOSPC, errno.E2BIG, errno.ERANGE)


class Marked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file: what a resource is marked with from here on; no labels take the mark off."""

    resource: str
    labels: tuple[str, ...]


def mark(fd: int, labels: tuple[str, ...]) -> bool:
    """Marks an open file or folder. False where its filesystem keeps no attributes. Raises OSError.

    Where it has no room for so many, such as ext4 above 4 KiB, with the one that stands for all.
    """
    try:
        os.setxattr(fd, ATTRIBUTE, "\n".join(labels).encode())
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return False
        if error.errno not in _TOO_MUCH or labels == (ANY,):
            raise
        os.setxattr(fd, ATTRIBUTE, ANY.encode())
    return True


def marks_of(fd: int) -> tuple[str, ...]:
    """The labels an open file or folder carries itself. Another program may have put anything there: what no message can
    carry stands for all labels.
    """
    try:
        raw = os.getxattr(fd, ATTRIBUTE)
    except OSError as error:
        if error.errno in (errno.ENODATA, *_NO_ATTRIBUTES):
            return ()
        raise
    found = tuple(label for label in raw.decode("utf-8", "replace").split("\n") if label)
    return found if all(len(label) <= LABEL_MAX for label in found) else (ANY,)


class MarkBook:
    """The labels of files whose filesystems keep no attributes. Used from several threads, which write one by one."""

    def __init__(self, state: Path) -> None:
        self._turn = threading.RLock()
        self._path = state / FILE
        self._marks: dict[str, tuple[str, ...]] = {}
        lines = list(filter(None, self._path.read_bytes().splitlines())) if self._path.exists() else []
        for line in lines:
            try:
                one = msgspec.json.decode(line, type=Marked)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue  # the last line of a writer that was killed: its file never took its name
            self._note(one)
        if len(lines) > 2 * len(self._marks):
            self._rewrite()

    def get(self, resource: str) -> tuple[str, ...]:
        """The labels written down for a resource."""
        return self._marks.get(resource, ())

    def put(self, resource: str, labels: tuple[str, ...]) -> None:
        """Writes labels down, on disk when this returns. Nothing is written where nothing changes."""
        with self._turn:
            if self.get(resource) == labels:
                return
            one = Marked(resource=resource, labels=labels)
            with self._path.open("ab") as file:  # a new line first, too: a full disk may have cut the line before
                file.write(b"\n" + msgspec.json.encode(one) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._note(one)

    def add(self, resource: str, labels: Iterable[str]) -> None:
        """Writes labels down beside those that are written down already."""
        with self._turn:
            self.put(resource, tuple(sorted(join(self.get(resource), tuple(labels)))))

    def copy(self, resource: str, to: str) -> None:
        """Adds to what lies beneath another resource what is written down beneath this one."""
        for one, labels in tuple(self._marks.items()):
            if one.startswith(f"{resource}/"):
                self.add(to + one.removeprefix(resource), labels)

    def drop(self, resource: str) -> None:
        """Takes off what is written down for a resource and beneath it."""
        for one in tuple(self._marks):
            if one == resource or one.startswith(f"{resource}/"):
                self.put(one, ())

    def _note(self, one: Marked) -> None:
        if one.labels:
            self._marks[one.resource] = one.labels
        else:
            self._marks.pop(one.resource, None)

    def _rewrite(self) -> None:
        fresh = self._path.with_suffix(".new")
        marked = [Marked(resource=resource, labels=labels) for resource, labels in sorted(self._marks.items())]
        with fresh.open("wb") as file:
            file.writelines(msgspec.json.encode(one) + b"\n" for one in marked)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
