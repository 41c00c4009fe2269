"""Comparison of names, and checking of short texts (pure): one form for all spellings that people take for the same.

Unicode's compatibility composition (NFKC) around case folding, as in UAX #15 and the caseless matching of the Unicode
standard (section 3.13, D146), then one space between words: "Ｍüller  AG" becomes "müller ag". Accents stay.
"""

import unicodedata
from typing import Final

from memory.errors import Invalid

NAME_MAX: Final = 512


def fold_name(name: str) -> str:
    """Return the form in which a name is compared. Idempotent."""
    text = unicodedata.normalize("NFKC", name)
    for _ in range(2):  # folding may undo the composition, and composing may leave something to fold
        text = unicodedata.normalize("NFKC", text.casefold())
    return " ".join(text.split())


def check_text(what: str, text: str, most: int = NAME_MAX) -> str:
    """Return the text without surrounding spaces. Raises Invalid unless it is 1 to `most` characters that can be stored."""
    text = text.strip()
    if not 0 < len(text) <= most or "\0" in text:
        raise Invalid(f"{what} is 1 to {most} characters without NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(f"{what} is Unicode text, without lone surrogates") from None
    return text
