"""Determines the charset of a page or text, by its byte order mark, its header or itself, and decodes it (pure).

Names mean what browsers take them for (WHATWG Encoding Standard, §4.2): an old charset is the largest of its family, since
pages use letters that only that has (Latin-1 is windows-1252, GB2312 is GB18030). Two Hands use it, `pages` and `documents`:
libxml2 takes names at their word, and drops the rest of a page at its first such letter.
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
_NAMES_ITS_OWN: Final = re.compile(
    rb"""(?i)<meta\s[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)|^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:-]+)"""
)
_TAKEN_FOR: Final = {
    "ascii": "windows-1252", "iso8859-1": "windows-1252", "iso8859-9": "windows-1254", "iso8859-11": "cp874",
    "tis-620": "cp874", "gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932",
    "euc_kr": "cp949",
}  # fmt: skip
"""By the name that Python has for what is named."""

_NONE: Final = frozenset(("idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"))
"""Python's, and no browser's: in them, plain letters may mean others, tags included."""


def named(content_type: str) -> str:
    """The charset that a content-type names, "" if none."""
    header = Message()
    header["content-type"] = content_type[:MOST]
    return _meant(header.get_content_charset("").strip(" '")[:40])


def _meant(name: str) -> str:
    """The charset that is meant by a name; the name itself if Python has none of it, "" if no page has it."""
    try:
        known = codecs.lookup(name).name
    except (LookupError, ValueError):
        return name
    return "" if known in _NONE else _TAKEN_FOR.get(known, name)


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
    wrong = text.count("\ufffd") - raw.count("\ufffd".encode())
    return "windows-1252" if wrong > sum(letter > "\x7f" for letter in text) - wrong else "utf-8"


def page_in_utf_8(raw: bytes, charset: str = "") -> bytes:
    """A page in UTF-8, read by its mark, by `charset`, as UTF-8, or as what it names itself: the first that it is valid in.

    If it is valid in none, invalid bytes of what it names itself, of `charset` or of the guess are replaced.
    """
    if mark := marked(raw):
        return raw.decode(mark, "replace").removeprefix("\ufeff").encode("utf-8", "replace")
    for name in (charset, "utf-8"):
        if fits(raw, name):
            return raw.decode(name).encode("utf-8", "replace")
    for name in (_of_page(raw), charset):
        try:
            return raw.decode(name, "replace").encode("utf-8", "replace")
        except (LookupError, ValueError):
            continue
    return raw.decode(guessed(raw), "replace").encode()


def _of_page(raw: bytes) -> str:
    """The charset that a page names in itself, "" if none. It is none of two bytes a letter: its name could be read."""
    found = _NAMES_ITS_OWN.search(raw[:_FRONT])
    name = _meant((found[1] or found[2]).decode("ascii", "replace")[:40]) if found else ""
    return "utf-8" if name.lower().startswith(("utf-16", "utf-32")) else name
