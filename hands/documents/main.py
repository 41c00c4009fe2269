"""The Hand `documents`: extracts text and tables from files (acts; thin over one reader per kind).

It is a task: a fresh process and interpreter answers each call. It has no root, no network and nothing of another caller,
asks `files.read` for the one document in its caller's name, and ends. A hostile document can break into that process only.
Processor time and memory are limits of the process; the Hand notices both shortly before the system would kill it, so
that its caller gets an error.
"""

import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Final, Protocol

import document_kinds
from document_kinds import DOCX, HTML, PDF, XLSX
from document_refusal import DocumentRefused, lacks_memory
from document_strict import as_transitional
from document_table import CELL_LEAST, Table, Value, row_of, sendable, size_of
from runtime import Call, CallFailed, CallRefused, Failure, Hand
from runtime.bounded_work import bounded

DOCUMENT_MOST: Final = 32 * 1024 * 1024
TEXT_MOST: Final = 200_000
ROWS_MOST: Final = 10_000
TABLES_MOST: Final = 200
NAME_MOST: Final = 300
REPLY_MOST: Final = 600_000
"""Bytes of a document, characters and rows of one reply, tables in one reply, characters of a table's name or a title;
and bytes of a reply's rows."""

BLANK: Final = "It has pages and no text. It may be a scan: pictures of text, which only a program for that can read."

READERS: Final = {PDF: "reading_pdf", DOCX: "reading_docx", XLSX: "reading_xlsx", HTML: "reading_html"}
"""The module that reads each kind; imported, with its library, when used."""


class Reader(Protocol):
    """The interface of the modules in READERS. BROKEN: errors that they raise for malformed documents."""

    BROKEN: tuple[type[Exception], ...]

    def title(self, raw: bytes, /) -> str:
        """The title that the author gave, or ""."""

    def text(self, raw: bytes, /) -> Iterator[str]:
        """Yields the text in pieces."""

    def tables(self, raw: bytes, /) -> Iterator[Table]:
        """Yields the tables."""


class Documents(Hand):
    """Provides documents.*."""

    async def text(self, call: Call, offset: int = 0, most: int = TEXT_MOST) -> dict[str, object]:
        """documents.text: at most `most` characters from `offset`. size: of the whole text; if `more`, as far as read."""
        if offset < 0 or not 1 <= most <= TEXT_MOST:
            raise Failure("arguments", f"offset must be 0 or more, and most between 1 and {TEXT_MOST}.")
        raw = await self._document(call)
        with _as_failures(call.resource) as reading:
            kind, reader, raw = reading.open(raw)
            title = reader.title(raw)
            pieces, size = list[str](), 0
            for piece in reader.text(raw):
                pieces.append(piece[max(offset - size, 0) :][: offset + most - max(size, offset)])
                size += len(piece)
                if size > offset + most:
                    break
            more, text = size > offset + most, "".join(pieces)
            is_blank = kind == PDF and not (offset or more or text.strip())
            return {
                "type": kind,
                "title": sendable(title[:NAME_MOST]),
                "text": sendable(text),
                "size": size,
                "more": more,
                **({"note": BLANK} if is_blank else {}),
            }

    async def tables(self, call: Call, table: str = "", offset: int = 0, most: int = 200) -> dict[str, object]:
        """documents.tables: rows of all tables, or of the one called `table`, from row `offset` on."""
        if offset < 0 or not 1 <= most <= ROWS_MOST:
            raise Failure("arguments", f"offset must be 0 or more, and most between 1 and {ROWS_MOST}.")
        raw = await self._document(call)
        with _as_failures(call.resource) as reading:
            kind, reader, raw = reading.open(raw)
            found: list[dict[str, object]] = []
            room, more = REPLY_MOST, False
            for one in reader.tables(raw):
                name = sendable(one.name[:NAME_MOST])
                if table not in ("", name):
                    continue
                if len(found) == TABLES_MOST or room <= 0:
                    more = True
                    break
                rows, goes_on, room = _rows(one, offset, most, room)
                found.append({"name": name, "rows": rows, "more": goes_on})
                more = more or goes_on
            if table and not found:
                raise DocumentRefused("not found", f"It has no table {table[:80]!r}.")
            return {"type": kind, "tables": found, "more": more}

    async def _document(self, call: Call) -> bytes:
        """Reads the call's resource through files.read, in the caller's name. Raises Failure."""
        raw = bytearray()
        try:
            async with self.kernel.stream("files.read", call.resource, length=DOCUMENT_MOST + 1) as stream:
                async for chunk in stream:
                    raw += chunk
        except CallFailed as failed:
            raise Failure(failed.code, failed.text) from None
        except CallRefused as refused:
            raise Failure("refused", f"{call.resource} cannot be read for you: {refused}") from None
        if len(raw) > DOCUMENT_MOST:
            raise Failure("too large", f"{call.resource}: more than {DOCUMENT_MOST} bytes.")
        return bytes(raw)


def _rows(table: Table, offset: int, most: int, room: int) -> tuple[list[list[Value]], bool, int]:
    """(rows, whether there are more, room left). A row for which there is no room comes with a later call."""
    rows: list[list[Value]] = []
    for number, cells in enumerate(table.rows):
        if number < offset:
            continue
        row = row_of(cells)
        if size_of(row) > REPLY_MOST:
            row = row_of(cells, CELL_LEAST)
        size = size_of(row)
        if len(rows) == most or size > room:
            return rows, True, room
        rows.append(row)
        room -= size
    while rows and not rows[-1]:
        rows.pop()
    return rows, False, room


class _Reading:
    """A document being read. broken: errors that its reader raises for malformed documents."""

    def __init__(self) -> None:
        self.broken: tuple[type[Exception], ...] = ()

    def open(self, raw: bytes) -> tuple[str, Reader, bytes]:
        """(kind, reader, bytes for that reader). Raises DocumentRefused."""
        kind = document_kinds.kind_of(raw)
        if kind in (DOCX, XLSX):
            raw = as_transitional(raw)
        mimetypes.knownfiles.clear()  # openpyxl would read the system's MIME files, which no run may
        reader = _reader(import_module(READERS[kind]))
        self.broken = reader.BROKEN
        return kind, reader, raw


def _reader(module: ModuleType) -> Reader:
    return module  # the tests check that each module in READERS is one


@contextmanager
def _as_failures(path: str) -> Iterator[_Reading]:
    """Turns DocumentRefused and the reader's errors into the call's Failed, and bounds time and memory. path: in its text."""
    reading = _Reading()
    with bounded(path, "a document"):
        try:
            yield reading
        except DocumentRefused as refused:
            raise Failure(refused.code, f"{path}: {refused.text}") from None
        except (MemoryError, RecursionError, SystemError):
            raise
        except Exception as error:
            if not isinstance(error, reading.broken):
                raise
            if lacks_memory(error):
                raise MemoryError from None
            raise Failure("broken", f"{path}: It cannot be read: {type(error).__name__}: {str(error)[:200]}") from None
