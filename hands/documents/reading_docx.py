"""Text and tables of a DOCX, by python-docx (acts on bytes that document_kinds let pass)."""

import io
from collections.abc import Iterator
from typing import Final

from docx import Document
from docx.document import Document as Opened
from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from docx.table import Table as DocxTable
from docx.table import _Cell
from docx.text.paragraph import Paragraph
from lxml.etree import LxmlError

from document_refusal import SPOILED
from document_table import COLUMNS_MOST, Table

BROKEN: Final = (OpcError, LxmlError, *SPOILED)

_PARAGRAPH, _TABLE = qn("w:p"), qn("w:tbl")
_LEVELS: Final = frozenset("123456")


def title(raw: bytes) -> str:
    """As its author gave it."""
    return str(_opened(raw).core_properties.title or "")


def text(raw: bytes) -> Iterator[str]:
    """Paragraphs and tables in their order: headings as Markdown has them, cells apart by tabs.

    python-docx's own way asks libxml2 for all of them at once, which takes time by the square of their number, and no
    signal ends it; and it looks a paragraph's style up for a millisecond.
    """
    opened, headings = _opened(raw), dict[str, str]()
    for one in opened.element.body.iterchildren(_PARAGRAPH, _TABLE):
        if one.tag == _PARAGRAPH:
            paragraph = Paragraph(one, opened)
            style = one.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
            name = "" if style is None else str(style.get(qn("w:val")))
            if name not in headings:
                headings[name] = _heading(paragraph)
            yield headings[name] + paragraph.text + "\n"
        else:
            for row in _rows(DocxTable(one, opened)):
                yield "\t".join(row) + "\n"


def tables(raw: bytes) -> Iterator[Table]:
    """Each table of the body, by its number."""
    for number, one in enumerate(_opened(raw).tables, 1):
        yield Table(name=str(number), rows=_rows(one))


def _rows(table: DocxTable) -> Iterator[list[str]]:
    """Cells that are merged come once for each place that they cover.

    python-docx climbs up to the first row of a merged cell anew for each place, which takes time by the square of the rows,
    and beyond some hundreds of them as much of Python's stack as there is. So the row above is remembered.
    """
    above = dict[int, str]()
    for row in table.rows:
        texts, here, place = list[str](), dict[int, str](), row.grid_cols_before
        for cell in row._tr.tc_lst:
            goes_on = cell.vMerge == "continue" and place in above
            here[place] = above[place] if goes_on else _Cell(cell, table).text
            texts += [here[place]] * min(cell.grid_span, COLUMNS_MOST)
            place += cell.grid_span
        yield texts
        above = here


def _heading(one: Paragraph) -> str:
    name = (one.style.name or "") if one.style is not None else ""
    level = name.removeprefix("Heading ")
    return "#" * int(level) + " " if name != level and level in _LEVELS else ""


def _opened(raw: bytes) -> Opened:
    return Document(io.BytesIO(raw))
