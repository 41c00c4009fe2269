"""Reads text and tables of an HTML page by lxml (acts on bytes; no recursion, so any depth of elements is safe)."""

from collections.abc import Iterator
from typing import Final

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from document_refusal import SPOILED
from document_table import Table
from runtime.bounded_work import in_thread
from runtime.charsets import page_in_utf_8

BROKEN: Final = (etree.LxmlError, *SPOILED)

_UNSEEN: Final = frozenset(("script", "style", "template", "noscript", "head", "svg", "iframe", "object"))
_BLOCKS: Final = frozenset(
    (
        "address", "article", "aside", "blockquote", "br", "caption", "dd", "div", "dl", "dt", "figcaption", "figure",
        "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
        "section", "table", "tr", "ul",
    )
)  # fmt: skip


def title(raw: bytes) -> str:
    """The title in the page's head."""
    return " ".join((_opened(raw).findtext(".//title") or "").split())


def text(raw: bytes) -> Iterator[str]:
    """Yields the visible text, one line per block."""
    for line in _words(_opened(raw)).split("\n"):
        if seen := " ".join(line.split()):
            yield seen + "\n"


def tables(raw: bytes) -> Iterator[Table]:
    """Yields each table, nested ones too, named by its number."""
    for number, one in enumerate(_opened(raw).iter("table"), 1):
        yield Table(name=str(number), rows=_rows(one))


def _rows(table: HtmlElement) -> Iterator[list[str]]:
    for row in table.iter("tr"):
        if next(row.iterancestors("table")) is table:
            yield [" ".join(_words(cell).split()) for cell in row if cell.tag in ("td", "th")]


def _words(element: HtmlElement) -> str:
    pieces: list[str] = []
    hidden = 0
    for event, one in etree.iterwalk(element, events=("start", "end", "comment", "pi")):
        is_unseen = one.tag in _UNSEEN
        if one.tag in _BLOCKS and not hidden:
            pieces.append("\n")
        if event == "start":
            hidden += is_unseen
            if not hidden:
                pieces.append(one.text or "")
            continue
        hidden -= event == "end" and is_unseen
        if one.tag in ("td", "th"):
            pieces.append(" ")
        if one is not element and not hidden:
            pieces.append(one.tail or "")
    return "".join(pieces)


def _opened(raw: bytes) -> HtmlElement:
    page, parser = page_in_utf_8(raw), HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
    return in_thread(lambda: document_fromstring(page, parser=parser))
