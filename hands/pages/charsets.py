"""What letters a reply is written in, as its headers say (pure).

A name means what browsers take it for (WHATWG Encoding Standard, §4.2): Latin-1 and ASCII are windows-1252, which has all
of their letters, and dashes and quotes besides.
"""

import codecs
from email.message import Message
from typing import Final

MOST: Final = 512
"""Characters of a content-type that are looked at: what reads it takes a time that grows with the square of them."""

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
