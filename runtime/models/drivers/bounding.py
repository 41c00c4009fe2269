"""How large an event of a stream, and the answer that they make, may become, before anybody gathers it (pure).

The SDKs put an event together line by line, copying what they have of it each time, and ask for no end of it: a stream of
short lines without an empty one among them keeps a processor busy for minutes. A service's own events have three lines.

An answer grows piece by piece and is copied each time, too, and what is too long for the reply that it becomes is of no use.
"""

import re
from typing import Final

from runtime.models.messages import AnyPiece, ToolPiece

EVENT: Final = 4 * 2**20
"""Bytes from one empty line to the next."""

LINES: Final = 2_000
"""Lines, likewise."""

ANSWER: Final = 960 * 1024
"""Bytes of an answer's text, thinking and calls: it becomes one reply, of 1 MiB. 128,000 tokens are about 600 KiB."""

_EMPTY: Final = re.compile(rb"\n\n|\r\n\r\n|\r\r")
_END: Final = re.compile(rb"\n|\r\n?")

TOO_MUCH: Final = f"more than {ANSWER // 1024} KiB for one answer"


class Event:
    """What there is of an event that has not ended."""

    def __init__(self) -> None:
        self._size = self._lines = 0
        self._last = b""

    def grown(self, piece: bytes) -> str:
        """Take a piece of the stream; what of an event in it is too much, "" for nothing."""
        first, *others = _EMPTY.split(self._last + piece)
        self._size += len(first) - len(self._last)
        self._lines += len(_END.findall(first)) - len(_END.findall(self._last))
        wrong = self._wrong()
        for event in others:
            self._size, self._lines = len(event), len(_END.findall(event))
            wrong = wrong or self._wrong()
        self._last = (self._last + piece)[-3:] if not others else others[-1][-3:]
        return wrong

    def _wrong(self) -> str:
        if self._size > EVENT:
            return f"more than {EVENT // 2**20} MiB for one event"
        return f"more than {LINES} lines for one event" if self._lines > LINES else ""


def size_of(piece: AnyPiece) -> int:
    """Bytes that an answer grows by with a piece."""
    return len((piece.name + piece.arguments if isinstance(piece, ToolPiece) else piece.text).encode())
