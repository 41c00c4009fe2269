"""Letters beyond the first 65,536, which JSON may say in halves (pure): text that models and providers write, made whole.

Half a letter has no form in UTF-8, so a text with one can be sent nowhere.
"""

import re


class Letters:
    """Text whose pieces may be cut in the middle of a letter, as a server does that counts in UTF-16.

    The first half waits for the second; a half that stays alone becomes U+FFFD, as it is no text.
    """

    def __init__(self) -> None:
        self._half = ""

    def take(self, text: str) -> str:
        """What is whole so far."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return whole(text[: len(text) - len(self._half)])

    def rest(self) -> str:
        """What stays of a half at the end."""
        return "\ufffd" if self._half else ""


def whole(text: str) -> str:
    """A text that is one: with U+FFFD for halves of letters that JSON can say and UTF-8 can not."""
    if text.isascii() or not re.search("[\ud800-\udfff]", text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def all_whole(value: object) -> object:
    """A value of JSON whose every text is one. Raises RecursionError for one that is nested too deep."""
    match value:
        case str():
            return whole(value)
        case list():
            return [all_whole(one) for one in value]
        case dict():
            return {whole(str(name)): all_whole(one) for name, one in value.items()}
    return value
