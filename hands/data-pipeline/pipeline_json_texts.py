"""Measures the text or number that a JSON document is in the middle of, and how deep it is nested (pure).

The parser holds each text until it ends, also one outside the rows, and scans all of it again with each piece; and for each
level the names of all levels above. So whoever feeds it must know when that would take unbounded memory and time.
"""

from itertools import accumulate
from typing import Final

DEPTH_MAX: Final = 2_500
"""Levels of arrays and objects in a document: 100,000 would take 21 GB."""

_BRACKETS: Final = bytes.maketrans(b"[{]}", b"\1\1\0\0")
_OTHERS: Final = bytes({*range(256)} - {*b"[{]}"})
_OF_NUMBERS: Final = b"0123456789+-.eE"


class Unended:
    """Takes the same pieces as the parser. text, number: bytes so far of the one that is not ended yet, else 0.

    deepest: the most levels that are open at any place of the last piece, or more, but only up to DEPTH_MAX.
    """

    def __init__(self) -> None:
        self._is_within = self._is_escaped = False
        self.text = self.number = self.deepest = self._depth = 0

    def take(self, piece: bytes) -> None:
        """Takes the next piece."""
        seen = (b"\\" if self._is_escaped else b"") + piece
        seen = seen.replace(b"\\\\", b"")  # an escaped backslash escapes nothing
        self._is_escaped = seen.endswith(b"\\")
        seen = seen.replace(b'\\"', b"")
        self._take_brackets(b"".join(seen.split(b'"')[self._is_within :: 2]))
        quotes = seen.count(b'"')
        self._is_within ^= quotes % 2 == 1
        if not self._is_within:
            self.text = 0
        elif quotes:
            self.text = len(seen) - seen.rfind(b'"') - 1
        else:
            self.text += len(piece)
        self._take_number(piece)

    def _take_number(self, piece: bytes) -> None:
        last = 0 if self._is_within else len(piece) - len(piece.rstrip(_OF_NUMBERS))
        self.number = self.number + last if last == len(piece) else last

    def _take_brackets(self, outside_texts: bytes) -> None:
        brackets = outside_texts.translate(_BRACKETS, _OTHERS)
        opened = brackets.count(1)
        self.deepest = self._depth + opened
        if self.deepest > DEPTH_MAX:  # only then looked at one by one, which takes ten times as long
            self.deepest = max(accumulate((2 * one - 1 for one in brackets), initial=self._depth))
        self._depth += 2 * opened - len(brackets)
