"""Splitting of long texts into chunks, so that each is about one thing (pure).

A text is cut at the strongest boundaries that it has: before Markdown headings, then after blank lines, lines, sentences
and words, and anywhere only if there is none. Neighbouring pieces are joined again while they fit. The pieces cover the
text exactly: nothing is lost, changed or repeated.
"""

import re
from collections.abc import Iterator
from typing import Final

CHUNK_MAX: Final = 1_600
"""The most characters of a chunk: about what a small embedding model reads (256 word pieces)."""

_BOUNDARIES: Final = (
    re.compile(r"^(?=#{1,6} )", re.MULTILINE),
    re.compile(r"(?<=\n)(?:[ \t]*\n)+"),
    re.compile(r"\n"),
    re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]]*\s+|[。！？]+"),
    re.compile(r"\s+"),
)
"""Strongest first; a text may be cut after a match. Each takes linear time, even on a long run of one character."""

Span = tuple[int, int]


def split_text(text: str, most: int = CHUNK_MAX) -> tuple[Span, ...]:
    """Return the pieces' starts and ends, in order, none longer than `most` characters; at least one."""
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
    """Yield the pieces between one level's boundaries."""
    at = start
    for found in _BOUNDARIES[level].finditer(text, start, end):
        if at < found.end() < end:
            yield at, found.end()
            at = found.end()
    yield at, end


def _joined(pieces: Iterator[Span], most: int) -> Iterator[Span]:
    """Join neighbours while they fit. A small piece, such as a heading, is joined even if the result must be cut further."""
    start, end = next(pieces)
    for piece_start, piece_end in pieces:
        if piece_end - start > most and end - start >= most // 8:
            yield start, end
            start = piece_start
        end = piece_end
    yield start, end
