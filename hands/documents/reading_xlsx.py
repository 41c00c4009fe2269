"""Text and tables of an XLSX, by openpyxl as a stream (acts on bytes that document_kinds let pass).

Values are those that the program which wrote it last had calculated; formulae are not. What a sheet says of its own size
is not believed: rows are read as they come, COLUMNS_MOST cells each. The library makes every row that is missing before one
with a higher number, so a number that no sheet has is refused when ROWS_MOST were made.
"""

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import ParseError

from lxml.etree import LxmlError
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook.workbook import Workbook

from document_refusal import SPOILED, DocumentRefused
from document_table import COLUMNS_MOST, Table, row_of

ROWS_MOST: Final = 1_048_576
"""Rows of a sheet, as Excel has them: "Excel specifications and limits"."""

_EMPTY: Final = (None,) * COLUMNS_MOST

BROKEN: Final = (InvalidFileException, LxmlError, ParseError, *SPOILED)


def title(raw: bytes) -> str:
    """As its author gave it."""
    return str(_opened(raw).properties.title or "")


def text(raw: bytes) -> Iterator[str]:
    """Sheet by sheet: its name as a heading, rows as lines, cells apart by tabs; empty rows are left out."""
    for table in tables(raw):
        yield f"# {table.name}\n"
        for cells in table.rows:
            if row := row_of(cells):
                yield "\t".join("" if value is None else str(value) for value in row) + "\n"


def tables(raw: bytes) -> Iterator[Table]:
    """Each sheet with cells, by its name."""
    for sheet in _opened(raw).worksheets:
        sheet.reset_dimensions()
        rows: Iterator[Sequence[object]] = sheet.iter_rows(max_col=COLUMNS_MOST, values_only=True)
        yield Table(name=sheet.title, rows=_bounded(sheet.title, rows))


def _bounded(name: str, rows: Iterable[Sequence[object]]) -> Iterator[Sequence[object]]:
    """The rows; a missing one has no cells, so that it costs whoever takes it nothing. Raises DocumentRefused."""
    for number, cells in enumerate(rows, 1):
        if number > ROWS_MOST:
            text = f"The sheet {name[:80]!r} has a row beyond {ROWS_MOST}, which no sheet has."
            raise DocumentRefused("broken", text)
        yield () if cells == _EMPTY else cells


def _opened(raw: bytes) -> Workbook:
    warnings.simplefilter("ignore")
    return load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
