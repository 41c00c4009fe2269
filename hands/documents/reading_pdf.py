"""Reads text and tables of a PDF by pypdf (acts on bytes; pure Python, so no compiled code parses them).

A PDF positions letters and has no tables. A table is assumed where two or more consecutive lines have parts separated by at
least three spaces in pypdf's layout. That finds plain tables only.
"""

import io
import logging
import re
from collections.abc import Iterator
from typing import Final

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from document_refusal import SPOILED, DocumentRefused
from document_table import Table

_APART: Final = re.compile(r" {3,}")


def title(raw: bytes) -> str:
    """The title that the author gave."""
    found = _opened(raw).metadata
    return str(found.title or "") if found else ""


def text(raw: bytes) -> Iterator[str]:
    """Yields the text page by page."""
    for page in _opened(raw).pages:
        yield page.extract_text() + "\n\n"


def tables(raw: bytes) -> Iterator[Table]:
    """Yields what looks like tables, page by page; `2.1` is the first one of the second page."""
    for number, page in enumerate(_opened(raw).pages, 1):
        for count, rows in enumerate(_blocks(page.extract_text(extraction_mode="layout")), 1):
            yield Table(name=f"{number}.{count}", rows=iter(rows))


def _blocks(laid_out: str) -> Iterator[list[list[str]]]:
    block: list[list[str]] = []
    for line in [*laid_out.split("\n"), ""]:
        parts = _APART.split(line.strip())
        if len(parts) > 1:
            block.append(parts)
            continue
        if len(block) > 1:
            yield block
        block = []


def _opened(raw: bytes) -> PdfReader:
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        reader = PdfReader(io.BytesIO(raw))
        if reader.is_encrypted and not reader.decrypt(""):
            raise DocumentRefused("encrypted", "It has a password.")
    except DependencyError:
        raise DocumentRefused("encrypted", "It is encrypted in a way that cannot be read here.") from None
    return reader


BROKEN: Final = (PyPdfError, DependencyError, *SPOILED)
