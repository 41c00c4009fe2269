"""Measures the text or number that a JSON document is in the middle of (pure).

The parser holds each until it ends, also one outside the rows, and scans all of it again with each piece. So whoever feeds
it must know when that would take unbounded memory and time.
"""

from typing import Final

_OF_NUMBERS: Final = b"0123456789+-.eE"


class Unended:
    """Takes the same pieces as the parser. text, number: bytes so far of the one that is not ended yet, else 0."""

    def __init__(self) -> None:
        self._is_within = self._is_escaped = False
        self.text = self.number = 0

    def take(self, piece: bytes) -> None:
        """Takes the next piece."""
        seen = (b"\\" if self._is_escaped else b"") + piece
        seen = seen.replace(b"\\\\", b"")  # an escaped backslash escapes nothing
        self._is_escaped = seen.endswith(b"\\")
        seen = seen.replace(b'\\"', b"")
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
