"""Keeps with a file the labels of the run that wrote it, so that whoever reads the file gets them (acts).

Without this, writing text from the web to a file and reading it again would remove its labels. Labels lie in the file's
extended attribute `user.maniple.labels`, which moves with the file. For filesystems without such attributes, they lie in
`labels.jsonl` in this service's state, keyed by resource. A label is removed only when the content is replaced.

Not covered: the owner copies a file with a tool that does not copy attributes.
"""

import errno
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
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
    """One line of the file: a resource's labels from here on. None removes its labels."""

    resource: str
    labels: tuple[str, ...]


def mark(fd: int, labels: tuple[str, ...]) -> bool:
    """Sets the labels of an open file or folder. False if its filesystem has no attributes. Raises OSError.

    Sets `*` alone, which stands for all labels, if the attribute has no room for so many (ext4: above 4 KiB).
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
    """The labels in the attribute of an open file or folder. Any program can write there: `*` if a label is longer than a
    message can carry.
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
    """The labels of files on filesystems without attributes. Several threads use it; a lock orders their writes."""

    def __init__(self, state: Path) -> None:
        self._turn = threading.RLock()
        self._path = state / FILE
        self._marks: dict[str, tuple[str, ...]] = {}
        lines = list[bytes]()
        with suppress(FileNotFoundError):
            lines += filter(None, self._path.read_bytes().splitlines())
        for line in lines:
            try:
                one = msgspec.json.decode(line, type=Marked)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue  # written by a process that was killed in it: its file was never renamed into place
            self._note(one)
        if len(lines) > 2 * len(self._marks):
            self._rewrite()

    def get(self, resource: str) -> tuple[str, ...]:
        """The book's labels of a resource."""
        return self._marks.get(resource, ())

    def put(self, resource: str, labels: tuple[str, ...]) -> None:
        """Sets a resource's labels, on disk when this returns. Writes nothing if nothing changes."""
        with self._turn:
            if self.get(resource) == labels:
                return
            one = Marked(resource=resource, labels=labels)
            with self._path.open("ab") as file:  # newline first, too: a full disk may have cut the line before
                file.write(b"\n" + msgspec.json.encode(one) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._note(one)

    def add(self, resource: str, labels: Iterable[str]) -> None:
        """Adds labels to those of a resource."""
        with self._turn:
            self.put(resource, tuple(sorted(join(self.get(resource), tuple(labels)))))

    def copy(self, resource: str, to: str) -> None:
        """Adds the labels of everything beneath `resource` to the same paths beneath `to`."""
        for one, labels in tuple(self._marks.items()):
            if one.startswith(f"{resource}/"):
                self.add(to + one.removeprefix(resource), labels)

    def drop(self, resource: str) -> None:
        """Removes the labels of a resource and of everything beneath it."""
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
