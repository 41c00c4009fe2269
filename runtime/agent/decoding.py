"""Decodes bytes that a tool streamed (pure): UTF-8, possibly cut within a character at its ends, UTF-16 or windows-1252.

A tool may return a part of a file that begins and ends at any byte. UTF-16 is recognised by its byte order mark. Bytes
that are neither, have no control character of binary files, and have more bytes that are invalid in UTF-8 than valid
characters beyond ASCII, are taken for windows-1252, which has all printable characters of Latin-1; the note says that
this is a guess.
"""

import codecs
from typing import Final

_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BINARY: Final = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b") | {127}
_REPLACEMENT: Final = "\ufffd"
_CONTINUATIONS: Final = 3
"""Bytes of a UTF-8 character that may stand at the beginning without the first one."""

CUT: Final = "UTF-8, without the incomplete characters at its ends"
INVALID: Final = f"UTF-8, with {_REPLACEMENT} for bytes that are invalid in it"
UTF_16: Final = "UTF-16"
GUESSED: Final = "windows-1252, which is a guess: it is not UTF-8"


def decode(raw: bytes) -> tuple[str, str] | None:
    """Return the text and a note on its encoding, "" for plain UTF-8; None for what is not text."""
    if raw.startswith(_UTF_16):
        text = _decoded(raw, "utf-16")
        return (text, UTF_16) if text and "\0" not in text else None
    start = 0
    while start < min(_CONTINUATIONS, len(raw)) and raw[start] & 0xC0 == 0x80:
        start += 1
    text = _decoded(raw[start:], "utf-8")
    if text is not None and len(text.encode()) == len(raw):
        return text, ""
    if text == "" or not _BINARY.isdisjoint(raw):
        return None
    if text is not None:
        return text, CUT
    text = raw[start:].decode("utf-8", "replace")
    invalid = text.count(_REPLACEMENT)
    if invalid > sum(character > "\x7f" for character in text) - invalid:
        return raw.decode("cp1252", "replace"), GUESSED
    return text, INVALID


def _decoded(raw: bytes, encoding: str) -> str | None:
    """Return the complete characters; None if some bytes are invalid."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(raw)
    except UnicodeDecodeError:
        return None
