"""Joins surrogate pairs, and replaces lone surrogates, in text that models and providers write (pure).

JSON may write a character beyond U+FFFF as two surrogates, and a stream may be cut between them. A lone surrogate has no form
in UTF-8, so a text with one can be sent nowhere.
"""

import re


class SurrogateJoiner:
    """Makes a text well-formed whose pieces may be cut within a surrogate pair, as by a server that counts in UTF-16.

    A first half waits for the second; one that stays alone becomes U+FFFD.
    """

    def __init__(self) -> None:
        self._half = ""

    def take(self, text: str) -> str:
        """Take a piece; return what is complete so far."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return well_formed(text[: len(text) - len(self._half)])

    def rest(self) -> str:
        """Return what is left at the end: U+FFFD for a half that waits, else ""."""
        return "\ufffd" if self._half else ""


def well_formed(text: str) -> str:
    """Return the text with surrogate pairs joined, and U+FFFD for lone surrogates."""
    if text.isascii() or not re.search("[\ud800-\udfff]", text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def well_formed_value(value: object) -> object:
    """Return a JSON value with all its texts well-formed. Raises RecursionError for one that is nested too deep."""
    match value:
        case str():
            return well_formed(value)
        case list():
            return [well_formed_value(one) for one in value]
        case dict():
            return {well_formed(str(name)): well_formed_value(one) for name, one in value.items()}
    return value
