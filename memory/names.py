"""How names are compared, and texts checked (pure): one form for all spellings that people take for the same.

Unicode's compatibility composition (NFKC) around case folding, as UAX #15 and the caseless matching of the Unicode standard
(section 3.13, D146) have it, then one space between words: "Ｍüller  AG" is "müller ag". Accents count.
"""

import unicodedata
from typing import Final

from memory.errors import Invalid

NAME_MAX: Final = 512


def folded(name: str) -> str:
    """The form in which a name is compared; folded(folded(x)) == folded(x)."""
    text = unicodedata.normalize("NFKC", name)
    for _ in range(2):  # folding may undo the composition, and composing may leave something to fold
        text = unicodedata.normalize("NFKC", text.casefold())
    return " ".join(text.split())


def checked(what: str, text: str, most: int = NAME_MAX) -> str:
    """The text without spaces around it. Raises Invalid unless it is 1 to `most` characters that can be stored."""
    text = text.strip()
    if not 0 < len(text) <= most or "\0" in text:
        raise Invalid(f"{what} is 1 to {most} characters without NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(f"{what} is Unicode text, without lone surrogates") from None
    return text
