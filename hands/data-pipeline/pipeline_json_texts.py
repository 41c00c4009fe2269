"""How long the text is that a JSON document is in the middle of (pure).

The parser keeps a text until it ends, also one beside the rows that nobody wants, and looks at all of it again with each
piece. So whoever feeds it has to know when that would take memory and time without end.
"""


class TextLength:
    """Takes the same pieces as the parser."""

    def __init__(self) -> None:
        self._is_within = self._is_escaped = False
        self._length = 0

    def after(self, piece: bytes) -> int:
        """Bytes so far of the text in which the piece ends; 0 where it ends outside of one."""
        seen = (b"\\" if self._is_escaped else b"") + piece
        seen = seen.replace(b"\\\\", b"")  # what a pair of them stands for escapes nothing
        self._is_escaped = seen.endswith(b"\\")
        seen = seen.replace(b'\\"', b"")
        quotes = seen.count(b'"')
        self._is_within ^= quotes % 2 == 1
        if not self._is_within:
            self._length = 0
        elif quotes:
            self._length = len(seen) - seen.rfind(b'"') - 1
        else:
            self._length += len(piece)
        return self._length
