"""What letters a reply is written in, as its mark or its headers say (pure).

A name means what browsers take it for (WHATWG Encoding Standard, §4.2): Latin-1 and ASCII are windows-1252, which has all
of their letters, and dashes and quotes besides.
"""

import codecs
import re
from email.message import Message
from typing import Final

MOST: Final = 512
"""Characters of a content-type that are looked at: what reads it takes a time that grows with the square of them."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FRONT: Final = 4096
_NAMES_ITS_OWN: Final = re.compile(rb"(?i)<meta\s[^>]*charset|^\s*<\?xml\s[^>]*encoding")
_TAKEN_FOR: Final = {"ascii": "windows-1252", "iso8859-1": "windows-1252"}


def named(content_type: str) -> str:
    """The charset that a content-type names, "" where it names none."""
    header = Message()
    header["content-type"] = content_type[:MOST]
    name = header.get_content_charset("").strip(" '")[:40]
    try:
        return _TAKEN_FOR.get(codecs.lookup(name).name, name)
    except (LookupError, ValueError):
        return name


def fits(raw: bytes, charset: str) -> bool:
    """Whether all of it can be read so."""
    try:
        raw.decode(charset)
    except (ValueError, LookupError):  # the name may be none that anything can have
        return False
    return True


def marked(raw: bytes) -> str:
    """What the mark says that bytes begin with, which goes before what anybody names (§4.2, BOM sniff); "" without one."""
    return next((name for mark, name in _MARKS if raw.startswith(mark)), "")


def guessed(raw: bytes) -> str:
    """What bytes are read in whose letters nobody names: UTF-8, or windows-1252 where most of them are none in that."""
    text = raw.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return "windows-1252" if wrong > sum(letter > "\x7f" for letter in text) - wrong else "utf-8"


def as_told(raw: bytes, charset: str) -> tuple[bytes, str | None]:
    """A page in UTF-8, from what its mark or header named or from that; its own bytes and None for what the page itself says.

    Where they fit into none, and the page names none either, those that are no letters are replaced.
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
