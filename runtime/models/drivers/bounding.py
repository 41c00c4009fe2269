"""Bounds the size of a stream's events, and of the answer they make, before anything gathers them (pure).

The SDKs build an event line by line, copying what they have each time, without a bound: a stream of short lines with no empty
line among them keeps a processor busy for minutes. Real events have three lines.

An answer grows piece by piece and is copied each time too; one that is too long for the reply it becomes is of no use.
"""

import re
from typing import Final

from runtime.models.messages import AnyPiece, ToolPiece

EVENT: Final = 4 * 2**20
"""Bytes of an event, from one empty line to the next, at most."""

LINES: Final = 2_000
"""Lines of an event, at most."""

ANSWER: Final = 960 * 1024
"""Bytes of an answer's text, thinking and calls: it becomes one reply of at most 1 MiB. 128,000 tokens are about 600 KiB."""

_EMPTY: Final = re.compile(rb"\n\n|\r\n\r\n|\r\r")
_END: Final = re.compile(rb"\n|\r\n?")

TOO_MUCH: Final = f"more than {ANSWER // 1024} KiB for one answer"


class EventBounds:
    """Measures the current event of a stream."""

    def __init__(self) -> None:
        self._size = self._lines = 0
        self._last = b""

    def add(self, piece: bytes) -> str:
        """Take a piece of the stream; return which bound an event in it exceeds, "" for none."""
        first, *others = _EMPTY.split(self._last + piece)
        self._size += len(first) - len(self._last)
        self._lines += len(_END.findall(first)) - len(_END.findall(self._last))
        excess = self._excess()
        for event in others:
            self._size, self._lines = len(event), len(_END.findall(event))
            excess = excess or self._excess()
        self._last = (self._last + piece)[-3:] if not others else others[-1][-3:]
        return excess

    def _excess(self) -> str:
        if self._size > EVENT:
            return f"more than {EVENT // 2**20} MiB for one event"
        return f"more than {LINES} lines for one event" if self._lines > LINES else ""


def size_of(piece: AnyPiece) -> int:
    """Return the bytes that a piece adds to an answer."""
    return len((piece.name + piece.arguments if isinstance(piece, ToolPiece) else piece.text).encode())
