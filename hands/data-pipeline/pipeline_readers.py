"""Parses CSV, JSON Lines and JSON arrays into records (pure), from chunks of any size, without holding the whole.

Readers take `feed(chunk)`, then `finish()`; both yield Records in order, and report broken rows to the ledger. A reader
holds at most one unfinished record, of RECORD_MAX at most. Where chunks end makes no difference; a property test cuts
everywhere.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final, Protocol

import ijson  # type: ignore[import-untyped]
import msgspec

from pipeline_errors import JobFailed
from pipeline_json_texts import DEPTH_MAX, Unended
from pipeline_rows import BATCH_ROWS, Ledger, Records, Reject
from pipeline_spec import Source

RECORD_MAX: Final = 1024 * 1024
"""Most characters (CSV) or bytes (JSON) of a record."""

TEXT_MAX: Final = 64 * 1024 * 1024
"""Most bytes of a JSON text outside the rows, which the parser holds whole until it ends."""

PIECE: Final = 64 * 1024
"""Bytes that are gathered before they are parsed."""

_MARKS: Final = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
_MARK: Final = 4
"""Bytes needed to find a byte order mark."""

_UNMARKED: Final = re.compile(rb"(?:[^\0\n]\0){2,}\n\0|(?:\0[^\0\n]){2,}\0\n")
"""A first line of ASCII letters in UTF-16 without its byte order mark."""

_HALF: Final = re.compile("[\ud800-\udfff]")


class Reader(Protocol):
    """Parses a source's bytes. rows: rows so far, broken ones included.

    names: of the columns, once known; () for JSON, whose rows name them.
    """

    names: tuple[str, ...]
    rows: int

    def feed(self, chunk: bytes) -> Iterator[Records]:
        """Takes bytes."""

    def finish(self) -> Iterator[Records]:
        """Ends the input."""


def reader_for(source: Source, ledger: Ledger, *, exact: bool) -> Reader:
    """Makes the reader of a CSV, JSON or JSON Lines source. exact: read numbers with a point as Decimal."""
    match source.format:
        case "csv":
            return CsvReader(source, ledger)
        case "json":
            return JsonReader(source, ledger)
        case "jsonl":
            return JsonLinesReader(source, ledger, exact=exact)
        case "sqlite":
            raise AssertionError("a database is not a stream: pipeline_database.py reads it")


# CSV -----------------------------------------------------------------------------------------------------------------


class CsvReader:
    """Parses CSV (RFC 4180) strictly: a row with unmatched quotes is rejected, and parsing goes on at the next line.

    Blank lines are not rows and not counted. A quoted field may contain line ends.
    """

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self.names: tuple[str, ...] = ()
        self._source = source
        self._ledger = ledger
        self._decoder: codecs.IncrementalDecoder | None = None
        self._raw, self._text = b"", ""
        self._held: list[str] = []
        self._broken = False
        self.rows = 0
        csv.field_size_limit(RECORD_MAX)

    def feed(self, chunk: bytes) -> Iterator[Records]:
        """Takes bytes."""
        self._raw += chunk
        if len(self._raw) >= max(PIECE, _MARK):
            yield from self._work(final=False)

    def finish(self) -> Iterator[Records]:
        """Parses the last lines, with a row that has no line end."""
        yield from self._work(final=True)
        if not self.names:
            self._begin(())

    def _work(self, *, final: bool) -> Iterator[Records]:
        raw, self._raw = self._raw, b""
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder(self._encoding(raw))("surrogateescape")
            if mark := _MARKS.get(self._source.encoding):  # these codecs would decode it as a character
                raw = raw.removeprefix(mark)
        try:
            text = self._text + self._decoder.decode(raw, final)
        except UnicodeError as error:
            encoding = self._source.encoding or "UTF-8"
            raise JobFailed("source", f"{self._source.path} is not {encoding}: {error}") from None
        lines = list(io.StringIO(text, newline=""))
        self._text = ""
        if lines and not final and not lines[-1].endswith("\n"):
            self._text = lines.pop()  # also after "\r": its "\n" may be the next byte
            if len(self._text) > RECORD_MAX:
                raise JobFailed("source", f"{self._source.path}: a line after row {self.rows} is over 1 MiB.")
        records = self._records(self._held + lines, final=final)
        broken = self._broken or (not text.isascii() and _HALF.search(text) is not None)
        self._broken = broken and bool(self._held)
        numbers, rows = self._number(records, broken=broken)
        if rows:
            yield Records(numbers, rows)

    def _encoding(self, raw: bytes) -> str:
        if self._source.encoding not in ("", "utf-8"):
            return self._source.encoding
        if _UNMARKED.match(raw):
            name = "utf-16-be" if raw.startswith(b"\0") else "utf-16-le"
            raise JobFailed("source", f'{self._source.path} is UTF-16 without its mark. Write encoding = "{name}".')
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            if self._source.encoding:
                raise JobFailed("source", f'{self._source.path} is UTF-16. Write encoding = "utf-16".')
            return "utf-16"
        return "utf-8-sig"

    def _parser(self, lines: Iterable[str]) -> "Iterator[list[str]]":
        source = self._source
        if not source.quote:
            return csv.reader(lines, strict=True, delimiter=source.delimiter, quotechar=None, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, strict=True, delimiter=source.delimiter, quotechar=source.quote)

    def _records(self, lines: list[str], *, final: bool) -> list[list[str] | Reject]:
        """The records of whole lines. A record that goes on after the last line is held back for the next call."""
        found: list[list[str] | Reject] = []
        self._held = []
        try:
            found.extend(self._parser(lines))
            return found
        except csv.Error:
            found.clear()
        self._slowly(lines, found, final=final)
        return found

    def _slowly(self, lines: list[str], found: list[list[str] | Reject], *, final: bool) -> None:
        """As _records, but row by row, to find where a broken record begins."""
        first = 0
        while first < len(lines):
            at = first
            counted = _Counted(lines, first)
            try:
                for record in self._parser(counted):
                    found.append(record)
                    at = counted.at
                return
            except csv.Error as error:
                unended = counted.ended
                if unended and not final and sum(map(len, lines[at:])) <= RECORD_MAX:
                    self._held = lines[at:]
                    return
                why = "a quote is opened and never closed" if unended else str(error)
                found.append(Reject(0, "", "malformed", why, lines[at].rstrip("\r\n")))
                first = at + 1

    def _number(
        self, records: Sequence[list[str] | Reject], *, broken: bool
    ) -> tuple[Sequence[int], Sequence[list[str]]]:
        """(numbers, rows) of the good rows. A header sets the names."""
        lists = [record for record in records if isinstance(record, list)]
        if self.names and not broken and len(lists) == len(records) and set(map(len, lists)) == {len(self.names)}:
            first, self.rows = self.rows + 1, self.rows + len(lists)
            return range(first, self.rows + 1), lists
        numbers, rows = list[int](), list[list[str]]()
        for record in records:
            if isinstance(record, Reject):
                if not self.names and self._source.header:
                    raise JobFailed("source", f"{self._source.path}: the header cannot be read: {record.reason}.")
                self.rows += 1
                self._ledger.reject(record._replace(number=self.rows))
            elif not record or (not self.names and self._begin(record)):
                continue
            else:
                self.rows += 1
                self._take(record, numbers, rows, broken=broken)
        return numbers, rows

    def _take(self, record: list[str], numbers: list[int], rows: list[list[str]], *, broken: bool) -> None:
        if len(record) != len(self.names):
            why = f"{len(record)} field{'' if len(record) == 1 else 's'} where there are {len(self.names)} columns"
            self._ledger.reject(Reject(self.rows, "", "fields", why, record))
        elif broken and any(_HALF.search(field) for field in record):
            why = f"its bytes are not {self._source.encoding or 'UTF-8'}"
            self._ledger.reject(Reject(self.rows, "", "malformed", why, record))
        else:
            numbers.append(self.rows)
            rows.append(record)

    def _begin(self, first: Sequence[str]) -> bool:
        """Sets the names. Returns whether the first record was the header."""
        source = self._source
        names = source.columns
        if source.header and not names:
            names = tuple(name.strip() for name in first)
            if why := self._no_header(names):
                raise JobFailed("source", f"{source.path}{why}")
        elif source.header and len(names) != len(first):
            raise JobFailed("source", f"{source.path} has {len(first)} columns, and source.columns names {len(names)}.")
        self.names = names or tuple(f"column_{number}" for number in range(1, len(first) + 1))
        return source.header

    def _no_header(self, names: Sequence[str]) -> str:
        """Why a first record cannot be the header, to follow the source's path in an error; "" if it can."""
        if not names:
            return " is empty: it has not even a header."
        if wrong := sorted(name for name, count in Counter(names).items() if not name or count > 1):
            shown = ", ".join(f'"{name[:60]}"' for name in wrong[:20]) + (", …" if len(wrong) > 20 else "")
            mend = 'Give the names yourself: source.columns = ["…"].'
            return f": the header names {shown} more than once or not at all. {mend}"
        if any(map(_HALF.search, names)):
            encoding = self._source.encoding or "UTF-8"
            return f': the header is not {encoding}. Write source.encoding, such as "latin-1".'
        others = [other for other in ";\t|," if other in names[0]] if len(names) == 1 else []
        return f" has one column. Perhaps write delimiter = {others[0]!r}." if others else ""


# JSON ----------------------------------------------------------------------------------------------------------------


class JsonLinesReader:
    """Parses JSON Lines: one object per line, UTF-8. Blank lines are not rows."""

    names: tuple[str, ...] = ()

    def __init__(self, source: Source, ledger: Ledger, *, exact: bool) -> None:
        self._source = source
        self._ledger = ledger
        self._decoder: msgspec.json.Decoder[object] = msgspec.json.Decoder(float_hook=Decimal if exact else None)
        self._rest = b""
        self.rows = 0
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[Records]:
        """Takes bytes."""
        self._rest += chunk
        if len(self._rest) < PIECE:
            return
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > RECORD_MAX:
            raise JobFailed("source", f"{self._source.path}: a line after row {self.rows} is over 1 MiB.")
        yield from self._work(lines)

    def finish(self) -> Iterator[Records]:
        """Parses the last lines."""
        lines, self._rest = self._rest.split(b"\n"), b""
        yield from self._work(lines)

    def _work(self, lines: list[bytes]) -> Iterator[Records]:
        if lines and not self._begun:
            lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
            self._begun = True
        numbers, rows = list[int](), list[dict[str, object]]()
        for line in lines:
            if not line or line.isspace():
                continue
            self.rows += 1
            try:
                row = self._decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                self._reject(line, f"this is not JSON: {error}")
                continue
            if isinstance(row, dict):
                numbers.append(self.rows)
                rows.append(row)
            else:
                self._reject(line, "the line is not a JSON object")
        if rows:
            yield Records(numbers, rows)

    def _reject(self, line: bytes, why: str) -> None:
        raw = line.rstrip(b"\r").decode("utf-8", "backslashreplace")
        self._ledger.reject(Reject(self.rows, "", "malformed", why, raw))


class JsonReader:
    """Parses a JSON array of objects, at the top or under the key `records` ("a.b" for a nested key).

    Invalid JSON ends the job, since nothing shows where the next row would begin; an item that is not an object is
    rejected. Numbers with a point are read exactly.
    """

    names: tuple[str, ...] = ()

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._items = ijson.sendable_list()
        prefix = f"{source.records}.item" if source.records else "item"
        self._parser = ijson.items_coro(self._items, prefix, map_type=self._object)
        self._opened, self._unended = -1, 0
        self._token, self.rows = Unended(), 0
        self._start, self._begun = b"", False

    def feed(self, chunk: bytes) -> Iterator[Records]:
        """Takes bytes."""
        if not self._begun:
            self._start = (self._start + chunk).lstrip()
            chunk = self._start.removeprefix(codecs.BOM_UTF8).lstrip()
            if not chunk or self._start in (b"\xef", b"\xef\xbb"):
                return
            self._begun = True
            if not self._source.records and chunk[:1] != b"[":
                mend = 'Write format = "jsonl" if each line is an object, or records = "KEY" of the array.'
                raise JobFailed("source", f"{self._source.path} does not begin with an array. {mend}")
        self._parse(chunk)
        while len(self._items) >= BATCH_ROWS:
            yield from self._work(BATCH_ROWS)

    def finish(self) -> Iterator[Records]:
        """Parses the last items. Raises JobFailed for an array that does not end."""
        self._parse(b"")
        yield from self._work(len(self._items))
        if self.rows == 0 and self._source.records:
            raise JobFailed("source", f'{self._source.path} has no array "{self._source.records}", or an empty one.')

    def _object(self) -> dict[str, object]:
        """Makes an object for the parser, which calls this where an item, or an object within one, begins."""
        self._opened = self._found
        return {}

    @property
    def _found(self) -> int:
        return self.rows + len(self._items)

    def _parse(self, chunk: bytes) -> None:
        found = self._found
        self._token.take(chunk)
        for what, size, most in (("text", self._token.text, TEXT_MAX), ("number", self._token.number, RECORD_MAX)):
            if size > most:
                raise JobFailed("source", f"{self._source.path}: a {what} after row {found} is over {most >> 20} MiB.")
        if self._token.deepest > DEPTH_MAX:
            raise JobFailed("source", f"{self._source.path}: it is nested over {DEPTH_MAX} deep after row {found}.")
        try:
            self._parser.send(chunk) if chunk else self._parser.close()
        except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
            why = _one_line(error)
            raise JobFailed("source", f"{self._source.path} is not JSON after row {self._found}: {why}") from None
        is_within = not self._source.records or self._opened == self._found  # what lies outside the array is not held
        self._unended = self._unended + len(chunk) if is_within and self._found == found else 0
        if self._unended > RECORD_MAX:
            raise JobFailed("source", f"{self._source.path}: the item after row {self._found} is over 1 MiB.")

    def _work(self, count: int) -> Iterator[Records]:
        numbers, rows = list[int](), list[dict[str, object]]()
        for item in self._items[:count]:
            self.rows += 1
            if isinstance(item, dict):
                numbers.append(self.rows)
                rows.append(item)
            else:
                self._ledger.reject(Reject(self.rows, "", "malformed", "the item is not a JSON object", item))
        del self._items[:count]
        if rows:
            yield Records(numbers, rows)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


class _Counted:
    """Iterates lines from a place. at: the next line. ended: whether the parser wanted more lines than there are."""

    def __init__(self, lines: list[str], at: int) -> None:
        self._lines = lines
        self.at = at
        self.ended = False

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        if self.at >= len(self._lines):
            self.ended = True
            raise StopIteration
        self.at += 1
        return self._lines[self.at - 1]
