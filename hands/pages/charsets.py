"""Determines the charset of a reply, by its byte order mark or its headers, and decodes it (pure).

Names mean what browsers take them for (WHATWG Encoding Standard, §4.2): Latin-1 and ASCII are windows-1252, which has all
of their letters, and dashes and quotes besides.
"""

import codecs
import re
from email.message import Message
from typing import Final

MOST: Final = 512
"""Characters of a content-type that are parsed: Python's parser takes quadratic time."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FRONT: Final = 4096
_NAMES_ITS_OWN: Final = re.compile(rb"(?i)<meta\s[^>]*charset|^\s*<\?xml\s[^>]*encoding")
_TAKEN_FOR: Final = {"ascii": "windows-1252", "iso8859-1": "windows-1252"}


def named(content_type: str) -> str:
    """The charset that a content-type names, "" if none."""
    header = Message()
    header["content-type"] = content_type[:MOST]
    name = header.get_content_charset("").strip(" '")[:40]
    try:
        return _TAKEN_FOR.get(codecs.lookup(name).name, name)
    except (LookupError, ValueError):
        return name


def fits(raw: bytes, charset: str) -> bool:
    """Whether the bytes are valid in this charset."""
    try:
        raw.decode(charset)
    except (ValueError, LookupError):  # the name may be invalid
        return False
    return True


def marked(raw: bytes) -> str:
    """The charset of the byte order mark, which overrides any named one (§4.2, BOM sniff); "" without a mark."""
    return next((name for mark, name in _MARKS if raw.startswith(mark)), "")


def guessed(raw: bytes) -> str:
    """The charset for bytes with none named: UTF-8, or windows-1252 if most non-ASCII bytes are invalid in UTF-8."""
    text = raw.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return "windows-1252" if wrong > sum(letter > "\x7f" for letter in text) - wrong else "utf-8"


def decoded_page(raw: bytes, charset: str) -> tuple[bytes, str | None]:
    """(the page in UTF-8, "utf-8"), by its mark or `charset`; (the bytes unchanged, None) if the page itself must say.

    If they are valid in neither, and the page names no charset, invalid bytes are replaced.
    """
    if mark := marked(raw):
        return raw.decode(mark, "replace").removeprefix("\ufeff").encode("utf-8", "replace"), "utf-8"
    if fits(raw, charset):
        return raw.decode(charset).encode("utf-8", "replace"), "utf-8"
    if fits(raw, "utf-8"):
        return raw, "utf-8"
    if _NAMES_ITS_OWN.search(raw[:_FRONT]):
        return raw, None
    try:
        return raw.decode(charset, "replace").encode("utf-8", "replace"), "utf-8"
    except (LookupError, ValueError):
        return raw.decode(guessed(raw), "replace").encode(), "utf-8"
