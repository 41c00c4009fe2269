"""Reads text and tables of a DOCX by python-docx and word_words.py (acts on bytes that document_kinds accepted)."""

import io
from collections.abc import Iterator
from typing import Final

from docx import Document
from docx.document import Document as Opened
from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from docx.oxml.table import CT_Row, CT_Tc
from docx.text.paragraph import Paragraph
from lxml.etree import LxmlError, _Element

from document_refusal import SPOILED
from document_table import COLUMNS_MOST, Table
from word_words import CELL, PARAGRAPH, ROW, TABLE, boxes, cell, within, words

BROKEN: Final = (OpcError, LxmlError, *SPOILED)

_LEVELS: Final = frozenset("123456")


def title(raw: bytes) -> str:
    """The title that the author gave."""
    return str(_opened(raw).core_properties.title or "")


def text(raw: bytes) -> Iterator[str]:
    """Yields paragraphs and tables in order: headings as Markdown, cells separated by tabs, text boxes after their paragraph.

    python-docx's own iteration makes libxml2 collect all of them at once, in time quadratic in their number, which no
    signal interrupts; and it takes a millisecond to look up a paragraph's style.
    """
    opened, headings = _opened(raw), dict[str, str]()
    for one in within(opened.element.body, PARAGRAPH, TABLE):
        if one.tag == PARAGRAPH:
            style = one.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
            name = "" if style is None else str(style.get(qn("w:val")))
            if name not in headings:
                headings[name] = _heading(Paragraph(one, opened))
            yield headings[name] + words(one) + "\n"
            for line in boxes(one):
                yield line + "\n"
        else:
            for row in _rows(one):
                yield "\t".join(row) + "\n"


def tables(raw: bytes) -> Iterator[Table]:
    """Yields each table of the body, named by its number."""
    for number, one in enumerate(within(_opened(raw).element.body, TABLE), 1):
        yield Table(name=str(number), rows=_rows(one))


def _rows(table: _Element) -> Iterator[list[str]]:
    """Yields a table's rows. A merged cell comes once for each place that it covers.

    python-docx climbs to the first row of a merged cell anew for each place: time quadratic in the rows, and beyond some
    hundreds of them all of Python's stack. So the row above is remembered.
    """
    above = dict[int, str]()
    for row in within(table, ROW):
        assert isinstance(row, CT_Row)
        texts, here, place = list[str](), dict[int, str](), row.grid_before
        for one in within(row, CELL):
            assert isinstance(one, CT_Tc)
            goes_on = one.vMerge == "continue" and place in above
            here[place] = above[place] if goes_on else cell(one)
            texts += [here[place]] * min(one.grid_span, COLUMNS_MOST)
            place += one.grid_span
        yield texts
        above = here


def _heading(one: Paragraph) -> str:
    name = (one.style.name or "") if one.style is not None else ""
    level = name.removeprefix("Heading ")
    return "#" * int(level) + " " if name != level and level in _LEVELS else ""


def _opened(raw: bytes) -> Opened:
    return Document(io.BytesIO(raw))
