"""CSV and JSON Lines targets, written to a file in the scratch folder (acts).

In mode append the old file is already there, and rows are appended under its own columns. CSV is RFC 4180 with "\\n" as
line end; no value is an empty field. JSON numbers stay numbers; a decimal is written with all its digits. Every text is
written so that pipeline_readers.py reads back the same.
"""

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, TextIO

import msgspec

from pipeline_errors import JobFailed
from pipeline_rows import Batch, Column, Ledger, Value
from pipeline_spec import Target
from pipeline_values import written


class TextTarget:
    """A CSV or JSON Lines file. columns: of the rows to write."""

    def __init__(self, path: Path, target: Target, columns: Sequence[Column], *, append: bool) -> None:
        self.written = 0
        self._columns = tuple(columns)
        self._order = list(range(len(columns)))
        self._format = target.format
        header = target.format == "csv"
        if append and target.format == "csv":
            header = not self._match(path, target)
        if append:
            _end_last_line(path)
        self._file = path.open("a" if append else "w", encoding="utf-8", newline="")
        writer = partial(csv.writer, _Lines(self._file), delimiter=target.delimiter, lineterminator=_Lines.END)
        self._csv = writer()
        self._json = msgspec.json.Encoder(decimal_format="number", enc_hook=written)
        if header:
            names = [column.name for column in columns]
            marked = names[0].startswith("\ufeff")  # quoted, so that it is not read as the file's byte order mark
            (writer(quoting=csv.QUOTE_ALL) if marked else self._csv).writerow(names)

    def _match(self, path: Path, target: Target) -> bool:
        """Takes over the column order of the old file's header. Returns whether it has one."""
        with path.open(encoding="utf-8-sig", newline="") as file:
            try:
                there = next(filter(None, csv.reader(file, delimiter=target.delimiter, strict=True)), [])
            except (csv.Error, UnicodeDecodeError) as error:
                raise JobFailed("target", f"{target.path} has no header that can be read: {error}") from None
        names = [column.name for column in self._columns]
        if sorted(there) != sorted(names):
            there = [name.strip() for name in there]  # as pipeline_readers.py does
        if there and sorted(there) != sorted(names):
            raise JobFailed(
                "target", f"{target.path} has the columns {', '.join(there)}, and the rows {', '.join(names)}. "
                "Select and rename to match, or write mode = \"replace\"."
            )  # fmt: skip
        if there:
            places = {name: at for at, name in enumerate(names)}
            self._order = [places[name] for name in there]
        return bool(there)

    def write(self, batch: Batch, ledger: Ledger) -> None:
        """Writes the batch."""
        self.written += batch.size
        if self._format == "csv":
            columns = [_texts(self._columns[at], batch.columns[at]) for at in self._order]
            self._csv.writerows(zip(*columns, strict=True))
            return
        names = [column.name for column in self._columns]
        columns = [_tellable(c, values) for c, values in zip(self._columns, batch.columns, strict=True)]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        self._file.write(self._json.encode_lines(rows).decode())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class _Lines:
    """The file that csv.writer writes to, one record at a time. csv.writer quotes only fields with a character of its line
    terminator, and a bare "\\r" would end a record as well as "\\n". So its terminator is both, and "\\r" is removed here.
    """

    END: Final = "\r\n"

    def __init__(self, file: TextIO) -> None:
        self._write = file.write

    def write(self, record: str) -> int:
        return self._write(record.removesuffix(self.END) + "\n")


def _texts(column: Column, values: list[Value]) -> Sequence[object]:
    if column.kind in ("text", "int", "float"):
        return values
    return ["" if value is None else written(value) for value in values]


def _tellable(column: Column, values: list[Value]) -> list[Value]:
    if column.kind in ("date", "datetime"):
        return [None if value is None else written(value) for value in values]
    return values


def _end_last_line(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(0, 2)
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
