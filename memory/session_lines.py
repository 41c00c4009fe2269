"""Export and import of a conversation as JSON Lines (acts on a Store; the lines are pure values).

The first line names the format; then the branches in order of creation, each followed by its own messages; then the
summaries. The last line says how many lines come before it, so that a file that was cut off is not taken for a whole one;
within the export of a memory (lines.py), which has such a line of its own, it is left out. Exporting an import gives the
same bytes again. Times are microseconds since 1970.

    {"format":"maniple-session/2"}
    {"branch":"main","parent":null,"forked":0,"labels":["web"],"created":1764000000000000}
    {"seq":1,"role":"user","text":"Hello","extra":{},"labels":["web"],"at":1764000000000000}
    {"branch":"main","first":1,"last":8,"text":"They met.","labels":["web"],"at":1764000000000000}
    {"end":4}
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory import compacting
from memory.compacting import Summary
from memory.errors import Conflict, Invalid
from memory.names import check_text
from memory.sessions import (
    MAIN,
    SQL,
    TEXT_MAX,
    Branch,
    Said,
    Span,
    add,
    branches,
    check_branch,
    check_branches,
    extra_text,
    make_branch,
    message_of,
    session_row,
)
from memory.store import Bindings, Reader, Store
from memory.times import check_times

FORMAT: Final = "maniple-session/2"
WITHOUT_END: Final = "maniple-session/1"
"""The format without a last line: within the export of a memory, and before there was one."""

PAGE: Final = 16
PAGE_BYTES: Final = 256 << 10


class _Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str


class _Branch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    branch: str
    parent: str | None
    forked: int
    labels: tuple[str, ...]
    created: int


class _Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seq: int
    role: str
    text: str
    extra: dict[str, object]
    labels: tuple[str, ...]
    at: int


class _Summary(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    branch: str
    first: int
    last: int
    text: str
    labels: tuple[str, ...]
    at: int


class _End(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    end: int


Line = _Head | _Branch | _Message | _Summary | _End


def outline(store: Reader, space: str) -> tuple[list[Branch], int]:
    """Return what an export includes: all branches, and the row of the last summary. Raises Absent."""
    ((last,),) = store.rows(SQL["last_summary"], {"session": session_row(store, space)})
    return branches(store, space), int(last or 0)


def head(of_format: str = FORMAT) -> bytes:
    """Return the first line."""
    return _line(_Head(format=of_format))


def end_line(before: int) -> bytes:
    """Return the last line. before: the number of lines that come before it."""
    return _line(_End(end=before))


def branch_line(one: Branch) -> bytes:
    """Return the line of a branch."""
    return _line(_Branch(branch=one.name, parent=one.parent, forked=one.forked, labels=one.labels, created=one.created))


def message_lines(store: Reader, space: str, span: Span) -> tuple[bytes, int, set[str]]:
    """Return lines of a branch's next own messages, of about PAGE_BYTES; the number of the last; and all their labels."""
    lines, labels, after, session = bytearray(), set[str](), span.after, session_row(store, space)
    while after < span.until and len(lines) < PAGE_BYTES:
        bindings: Bindings = {
            "session": session, "branch": span.branch, "after": after, "until": span.until, "most": PAGE
        }  # fmt: skip
        found = [message_of(row) for row in store.rows(SQL["read"], bindings)]
        for one in found:
            message = _Message(
                seq=one.seq, role=one.role, text=one.text, extra=one.extra, labels=one.labels, at=one.at
            )  # fmt: skip
            lines += _line(message)
            labels.update(one.labels)
        after = found[-1].seq if found else span.until
    return bytes(lines), after, labels


def summary_lines(store: Reader, space: str, after: int, until: int) -> tuple[bytes, int, set[str]]:
    """Return lines of the summaries after a row, of about PAGE_BYTES; the row of the last; and all their labels."""
    lines, labels = bytearray(), set[str]()
    bindings: Bindings = {"session": session_row(store, space), "after": after, "until": until}
    for *row, last in store.each(SQL["summaries"], bindings):
        one = compacting.summary_of(tuple(row))
        lines += _summary_line(one)
        labels.update(one.labels)
        if len(lines) >= PAGE_BYTES:
            return bytes(lines), int(last or 0), labels
    return bytes(lines), until, labels


def _summary_line(one: Summary) -> bytes:
    return _line(
        _Summary(
            branch=one.branch, first=one.first, last=one.last, text=one.text, labels=one.labels, at=one.at
        )
    )  # fmt: skip


def import_session(store: Store, space: str, lines: Iterable[bytes], labels: Sequence[str] = ()) -> int:
    """Import a conversation from its lines, all or nothing. Returns the number of its messages.

    labels: of the lines as a whole, in addition to their own. Raises Conflict if the space has a conversation already, and
    Invalid, with the number of the line, for what is not an export.
    """
    with store.write():
        if store.rows(SQL["session"], {"space": space}):
            raise Conflict("there is a conversation here already: import into another one")
        taking = begin_import(store, space, labels)
        number = 0
        for number, line in enumerate(lines, 1):
            try:
                taking.take(read_line(line, number))
            except Invalid as error:
                raise Invalid(f"line {number}: {error}") from None
        taking.settle()
        return taking.count


def begin_import(store: Store, space: str, labels: Iterable[str]) -> "Import":
    """Begin the import of a conversation into a space that has none."""
    ((row,),) = store.rows(SQL["begin"], {"space": space, "now": store.now()})
    return Import(store, int(row or 0), frozenset(labels))


class Ending:
    """The last line of an export, which says how many lines come before it: so none is lost or added unnoticed.

    is_needed: the format has such a line.
    """

    def __init__(self) -> None:
        self.is_needed = self._is_over = False
        self._lines = 0

    def count(self) -> None:
        """Count a line, whatever it is. Raises Invalid for one behind the last."""
        if self._is_over:
            raise Invalid("nothing follows the last line, which says how many there are")
        self._lines += 1

    def take(self, number: int) -> None:
        """Take the last line, which has been counted too. Raises Invalid if it tells another number of lines before it."""
        if number != self._lines - 1:
            raise Invalid(f"{self._lines - 1} lines came before it, where it says {number}: lines were added or lost")
        self._is_over = True

    def check(self) -> None:
        """Raise Invalid if a needed last line is missing."""
        if self.is_needed and not self._is_over:
            raise Invalid("the last line is missing, which says how many there are: the file is not whole")


class Import:
    """The import of a conversation, line by line. last: the last number of each branch; count: messages."""

    def __init__(self, store: Store, session: int, labels: frozenset[str]) -> None:
        self._store, self._session, self._labels = store, session, labels
        self._branch = ""
        self._at_end = False
        self._ending = Ending()
        self.last: dict[str, int] = {}
        self._depths: dict[str | None, int] = {None: 0}
        self.count = 0

    def take(self, line: Line) -> None:
        """Import the next line. Raises Invalid for one that is not allowed there."""
        self._ending.count()
        match line:
            case _Head(format=of_format):
                self._ending.is_needed = of_format == FORMAT
            case _End(end=number) if self._ending.is_needed:
                self._ending.take(number)
            case _Branch(branch=name, parent=parent, forked=forked) if not self._at_end:
                is_first = not self.last and name == MAIN and parent is None and forked == 0
                if name in self.last or not (
                    is_first or (parent in self.last and 0 <= forked <= self.last[parent or ""])
                ):
                    raise Invalid(f"a branch {name!r} cannot begin here")
                check_branch(name)
                check_branches(len(self.last), self._depths[parent])
                self._depths[name] = self._depths[parent] + 1
                check_times(line.created)
                marks = tuple(self._labels.union(line.labels))
                make_branch(self._store, self._session, name, parent, forked, marks, line.created)
                self._branch, self.last[name] = name, forked
            case _Message(seq=seq) if self._branch and not self._at_end:
                check_times(line.at)
                if seq != self.last[self._branch] + 1:
                    raise Invalid(f"message {seq} follows message {self.last[self._branch]}")
                said, marks = (
                    Said(role=line.role, text=line.text, extra=line.extra),
                    tuple(self._labels.union(line.labels)),
                )
                add(self._store, self._session, self._branch, seq, said, extra_text(line.extra), marks, line.at)
                self.last[self._branch], self.count = seq, self.count + 1
            case _Summary(branch=name, first=first, last=last):
                if not 1 <= first <= last <= self.last.get(name, 0):
                    raise Invalid(f"there are no messages {first} to {last} of {name!r}")
                check_times(line.at)
                self._at_end = True
                text, told = (
                    check_text("a summary", line.text, TEXT_MAX // 4),
                    tuple(sorted(self._labels.union(line.labels))),
                )
                compacting.add(self._store, self._session, compacting.Summary(
                    branch=name, first=first, last=last, text=text, labels=told, at=line.at,
                ))  # fmt: skip
            case _:
                raise Invalid("it cannot stand here")

    def settle(self) -> None:
        """Set the last number of every branch, at the end. Raises Invalid if the main branch, or the end, is missing."""
        self._ending.check()
        if MAIN not in self.last:
            raise Invalid(f"the branch {MAIN!r} is missing")
        for name, last in self.last.items():
            self._store.rows(SQL["advance"], {"session": self._session, "name": name, "last": last})


def read_line(line: bytes, number: int) -> Line:
    """Parse one line. number: counted from 1. Raises Invalid."""
    kinds: tuple[type[Line], ...] = (_Head,) if number == 1 else (_Message, _Branch, _Summary, _End)
    for kind in kinds:
        try:
            found = msgspec.json.decode(line, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(found, _Head) and found.format not in (FORMAT, WITHOUT_END):
            break
        return found
    raise Invalid(f"it is none of {FORMAT}")


def _line(value: Line) -> bytes:
    return msgspec.json.encode(value) + b"\n"
