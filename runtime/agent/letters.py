"""Bytes that a tool streamed, read as a text (pure): UTF-8, of which a part may be cut within letters, or what else it is.

A file is read from some byte on, and so many: where that cuts a letter in two the rest is a text all the same. Of other
letters UTF-16 says itself what it is. What is neither, has none of the bytes that only programs have, and has more bytes
that are no letters in UTF-8 than it has letters beside ASCII's, is taken for windows-1252, which has all letters of
Latin-1; that is a guess, and told.
"""

import codecs
from typing import Final

_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PROGRAMS_ONLY: Final = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b") | {127}
_WRONG: Final = "\ufffd"
_HALF: Final = 3
"""Bytes of a letter that may stand there without those before them."""

HALVES: Final = "its first and last bytes are parts of letters, and left out"
SPOILED: Final = f"some bytes are no letters in UTF-8: {_WRONG} stands there"
UTF_16: Final = "UTF-16"
GUESSED: Final = "no UTF-8; read as windows-1252, which is a guess"


def read(raw: bytes) -> tuple[str, str] | None:
    """The text, and what is to be known of its letters, "" for nothing; None for what is no text."""
    if raw.startswith(_UTF_16):
        return _told(_decoded(raw, "utf-16"), UTF_16)
    start = 0
    while start < min(_HALF, len(raw)) and raw[start] & 0xC0 == 0x80:
        start += 1
    text = _decoded(raw[start:], "utf-8")
    if text is not None and len(text.encode()) == len(raw):
        return text, ""
    if text == "" or not _PROGRAMS_ONLY.isdisjoint(raw):
        return None
    if text is not None:
        return text, HALVES
    text = raw[start:].decode("utf-8", "replace")
    wrong = text.count(_WRONG)
    if wrong > sum(letter > "\x7f" for letter in text) - wrong:
        return raw.decode("cp1252", "replace"), GUESSED
    return text, SPOILED


def _decoded(raw: bytes, letters: str) -> str | None:
    """What of it are whole letters; None where there are others."""
    try:
        return codecs.getincrementaldecoder(letters)().decode(raw)
    except UnicodeDecodeError:
        return None


def _told(text: str | None, letters: str) -> tuple[str, str] | None:
    return (text, letters) if text and "\0" not in text else None
