"""Where a long text is cut, so that each piece is about one thing (pure).

A text is cut at the strongest boundaries that it has: before Markdown headings, then behind blank lines, lines, sentences
and words, and anywhere only where there is none. Neighbouring pieces are joined again while they fit. The pieces cover the
text exactly: nothing is lost, changed or there twice.
"""

import re
from collections.abc import Iterator
from typing import Final

CHUNK_MAX: Final = 1_600
"""Characters of a piece: about what a small embedding model reads (256 word pieces)."""

_BOUNDARIES: Final = (
    re.compile(r"^(?=#{1,6} )", re.MULTILINE),
    re.compile(r"(?<=\n)(?:[ \t]*\n)+"),
    re.compile(r"\n"),
    re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]]*\s+|[。！？]+"),
    re.compile(r"\s+"),
)
"""Strongest first; a text may be cut behind what one matches. Each is tried once for a run of signs, however long it is."""

Span = tuple[int, int]


def chunked(text: str, most: int = CHUNK_MAX) -> tuple[Span, ...]:
    """The pieces' starts and ends, in order, none longer than `most` characters; a short or empty text is one piece."""
    return tuple(_cut(text, 0, len(text), most, 0))


def _cut(text: str, start: int, end: int, most: int, level: int) -> Iterator[Span]:
    if end - start <= most:
        yield start, end
    elif level == len(_BOUNDARIES):
        yield from ((at, min(at + most, end)) for at in range(start, end, most))
    else:
        for piece_start, piece_end in _joined(_split(text, start, end, level), most):
            yield from _cut(text, piece_start, piece_end, most, level + 1)


def _split(text: str, start: int, end: int, level: int) -> Iterator[Span]:
    """The pieces between one level's boundaries."""
    at = start
    for found in _BOUNDARIES[level].finditer(text, start, end):
        if at < found.end() < end:
            yield at, found.end()
            at = found.end()
    yield at, end


def _joined(pieces: Iterator[Span], most: int) -> Iterator[Span]:
    """Neighbours made one while they fit; a small one, such as a heading, also where it does not: both are cut further on."""
    start, end = next(pieces)
    for piece_start, piece_end in pieces:
        if piece_end - start > most and end - start >= most // 8:
            yield start, end
            start = piece_start
        end = piece_end
    yield start, end
