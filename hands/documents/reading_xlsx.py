"""Reads text and tables of an XLSX by openpyxl, as a stream (acts on bytes that document_kinds accepted).

Cells have the values that the last writing program calculated, not formulae. The size that a sheet states is ignored: rows
are read as they come, COLUMNS_MOST cells each. openpyxl makes up every missing row before a row with a higher number, so
the sheet is refused after ROWS_MOST rows. A cell whose value is none of its type, such as a date that no calendar has, is
the text that the file holds: openpyxl would give up the whole sheet for it.
"""

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from lxml.etree import LxmlError
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook.workbook import Workbook
from openpyxl.worksheet import _read_only
from openpyxl.worksheet._reader import ROW_TAG, WorkSheetParser
from openpyxl.xml.functions import iterparse

from document_refusal import SPOILED, DocumentRefused
from document_table import COLUMNS_MOST, Table, row_of

ROWS_MOST: Final = 1_048_576
"""Rows of a sheet, as Excel has them: "Excel specifications and limits"."""

_EMPTY: Final = (None,) * COLUMNS_MOST

BROKEN: Final = (InvalidFileException, LxmlError, ParseError, *SPOILED)


def title(raw: bytes) -> str:
    """The title that the author gave."""
    return str(_opened(raw).properties.title or "")


def text(raw: bytes) -> Iterator[str]:
    """Yields sheets in order: name as a heading, rows as lines, cells separated by tabs; empty rows are left out."""
    for table in tables(raw):
        yield f"# {table.name}\n"
        for cells in table.rows:
            if row := row_of(cells):
                yield "\t".join("" if value is None else str(value) for value in row) + "\n"


def tables(raw: bytes) -> Iterator[Table]:
    """Yields each worksheet, by its name."""
    for sheet in _opened(raw).worksheets:
        sheet.reset_dimensions()
        rows: Iterator[Sequence[object]] = sheet.iter_rows(max_col=COLUMNS_MOST, values_only=True)
        yield Table(name=sheet.title, rows=_bounded(sheet.title, rows))


def _bounded(name: str, rows: Iterable[Sequence[object]]) -> Iterator[Sequence[object]]:
    """Yields the rows; an empty one as `()`, so that it costs its reader nothing. Raises DocumentRefused."""
    for number, cells in enumerate(rows, 1):
        if number > ROWS_MOST:
            text = f"The sheet {name[:80]!r} has a row beyond {ROWS_MOST}, which no sheet has."
            raise DocumentRefused("broken", text)
        yield () if cells == _EMPTY else cells


def _opened(raw: bytes) -> Workbook:
    warnings.simplefilter("ignore")
    _read_only.WorkSheetParser = _Cells  # load_workbook takes no other
    return load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)


class _Cells(WorkSheetParser):  # type: ignore[misc]  # openpyxl ships no types
    """Reads a sheet's cells and nothing else; one whose value is none of its type comes as the text that the file holds."""

    col_counter: int

    def parse(self) -> Iterator[object]:
        """Yield each row, with its number: as openpyxl does, but without rules and looks, which may be odd too."""
        for _, element in iterparse(self.source):
            if element.tag == ROW_TAG:
                yield self.parse_row(element)
                element.clear()

    def parse_cell(self, element: Element) -> dict[str, object]:
        """Return a cell as openpyxl has it. Raises ValueError for one that lacks a place or a style."""
        before = self.col_counter
        with suppress(ValueError, OverflowError):
            cell: dict[str, object] = super().parse_cell(element)
            if cell["data_type"] != "e" or element.get("t") == "e":  # else its number is no date
                return cell
        self.col_counter = before
        element.set("t", "str")
        as_text: dict[str, object] = super().parse_cell(element)
        return as_text
