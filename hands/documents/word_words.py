"""Extracts the visible text of a DOCX's body (pure: elements in, texts out; ECMA-376 part 1, 17).

python-docx reads only the runs directly in a paragraph: it misses tracked insertions, content controls, fields, text boxes
and tables within cells. This reads what people see with all changes accepted: no deleted text, no field instructions, and
of two alternative versions the newer one.
"""

from collections.abc import Iterator
from typing import Final

from docx.oxml.ns import qn
from lxml.etree import _Element

PARAGRAPH: Final = qn("w:p")
TABLE: Final = qn("w:tbl")
ROW: Final = qn("w:tr")
CELL: Final = qn("w:tc")
_TEXT: Final = qn("w:t")
_BREAK: Final = qn("w:br")
_BOX: Final = qn("w:txbxContent")
_OLDER: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_UNSEEN: Final = (_OLDER, qn("w:del"), qn("w:moveFrom"))
_SIGNS: Final = {qn("w:tab"): "\t", qn("w:ptab"): "\t", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_LEAVES: Final = frozenset((_TEXT, _BREAK, *_SIGNS))
_THROUGH: Final = frozenset(
    qn(f"w:{name}")
    for name in ("bdo", "customXml", "dir", "fldSimple", "hyperlink", "ins", "moveTo", "sdt", "sdtContent", "smartTag")
)
"""Elements that wrap runs, paragraphs, rows or cells, and whose content is visible."""

_IN_RUNS: Final = _THROUGH | {qn("w:r"), qn("w:ruby"), qn("w:rubyBase")}


def within(element: _Element, *wanted: str, through: frozenset[str] = _THROUGH) -> Iterator[_Element]:
    """Yields an element's descendants with these names, in order, looking only into elements in `through`."""
    open_ones = [iter(element)]
    while open_ones:
        one = next(open_ones[-1], None)
        if one is None:
            open_ones.pop()
        elif one.tag in wanted:
            yield one
        elif one.tag in through:
            open_ones.append(iter(one))


def words(paragraph: _Element) -> str:
    """A paragraph's own text, without its text boxes."""
    return "".join(map(_text_of, within(paragraph, *_LEAVES, through=_IN_RUNS)))


def boxes(paragraph: _Element) -> Iterator[str]:
    """Yields the lines of a paragraph's text boxes; a box's lines include those of boxes nested in it."""
    for box in paragraph.iter(_BOX):
        if next(box.iterancestors(PARAGRAPH, *_UNSEEN)) is paragraph:
            yield from _lines(box)


def cell(element: _Element) -> str:
    """A cell's text: one line per paragraph and per row of a nested table; text boxes after their paragraph."""
    return "\n".join(_lines(element))


def _lines(element: _Element) -> Iterator[str]:
    for one in within(element, PARAGRAPH, TABLE):
        if one.tag == PARAGRAPH:
            yield words(one)
            yield from boxes(one)
        else:
            for row in within(one, ROW):
                yield "\t".join(map(cell, within(row, CELL)))


def _text_of(leaf: _Element) -> str:
    if leaf.tag == _TEXT:
        return leaf.text or ""
    if leaf.tag == _BREAK:
        return "\n" if leaf.get(qn("w:type"), "textWrapping") == "textWrapping" else ""
    return _SIGNS[leaf.tag]
