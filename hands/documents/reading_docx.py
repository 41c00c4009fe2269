"""Text and tables of a DOCX, by python-docx and word_words.py (acts on bytes that document_kinds let pass)."""

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
    """As its author gave it."""
    return str(_opened(raw).core_properties.title or "")


def text(raw: bytes) -> Iterator[str]:
    """Paragraphs and tables in their order: headings as Markdown has them, cells apart by tabs, boxes after the paragraph.

    python-docx's own way asks libxml2 for all of them at once, which takes time by the square of their number, and no
    signal ends it; and it looks a paragraph's style up for a millisecond.
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
    """Each table of the body, by its number."""
    for number, one in enumerate(within(_opened(raw).element.body, TABLE), 1):
        yield Table(name=str(number), rows=_rows(one))


def _rows(table: _Element) -> Iterator[list[str]]:
    """Cells that are merged come once for each place that they cover.

    python-docx climbs up to the first row of a merged cell anew for each place, which takes time by the square of the rows,
    and beyond some hundreds of them as much of Python's stack as there is. So the row above is remembered.
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
