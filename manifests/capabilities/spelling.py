"""The characters that a resource, a pattern or a file name may contain (pure).

Separate because paths, URLs, addresses and seals share it: no character that is invisible or reorders others. Refused
are control characters, formats (bidirectional and zero-width ones included), surrogates, private and unassigned
characters, line and paragraph separators, spaces other than U+0020, and letters and marks that are drawn as nothing.
Letters that merely look like others are not refused: they stay different texts. Source: Unicode general categories;
manifests/visibility.py for what is drawn as nothing.
"""

from typing import Final

from manifests.visibility import INVISIBLE
from wire.limits import RESOURCE_MAX

LONGEST: Final = RESOURCE_MAX
"""The most UTF-8 bytes of a resource or a pattern, both as given and in normal form."""

REFUSED: Final = {
    "Cc": "a control character",
    "Cf": "an invisible or bidirectional character",
    "Cs": "half a surrogate pair",
    "Co": "a private character",
    "Cn": "an unassigned character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
    "Zs": "a space that is not U+0020",
}


def oddity(text: str) -> str:
    """Return a clause about the first character that is not allowed, "" if all are. Never raises."""
    if text.isascii() and text.isprintable():
        return ""
    import unicodedata

    for char in text:
        why = "an invisible character" if char in INVISIBLE else REFUSED.get(unicodedata.category(char), "")
        if why and char != " ":
            return f"it holds {why} (U+{ord(char):04X})"
    return ""


def is_nfc(text: str) -> bool:
    """Whether the text is in Unicode's composed normal form (NFC), the only one allowed."""
    if text.isascii():
        return True
    import unicodedata

    return unicodedata.is_normalized("NFC", text)


def is_too_long(text: str) -> bool:
    """Whether the text has more than LONGEST bytes, which are 1 KiB; only for text that `oddity` has passed."""
    return len(text) > LONGEST or (not text.isascii() and len(text.encode()) > LONGEST)
