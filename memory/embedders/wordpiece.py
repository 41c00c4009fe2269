"""The WordPiece tokenizer of BERT models (pure).

As in Devlin and others (2018) and in the tokenizer.json of the model `minilm`: control characters are dropped, accents
removed, letters lowered, Chinese characters and punctuation separated; then each word is split greedily into the longest
pieces of the vocabulary. Written here because the usual package includes a downloader. One difference is on purpose:
"[SEP]" and the like in a text are text, never the model's marks.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

WORD_MAX: Final = 100
UNKNOWN: Final = "[UNK]"
FIRST: Final = "[CLS]"
LAST: Final = "[SEP]"
CHARACTERS_MAX: Final = 16
"""Characters read of a text per wanted piece: more are needed only for texts of very long words."""

_CHINESE: Final = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """A tokenizer. vocabulary: the pieces, numbered by their index; pieces inside a word begin with ##."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}
        self._first, self._last, self._unknown = (self._numbers[piece] for piece in (FIRST, LAST, UNKNOWN))
        self._pieces = lru_cache(maxsize=20_000)(self._cut)

    def numbers(self, text: str, most: int) -> list[int]:
        """Return the numbers of a text's pieces, between the marks of begin and end, at most `most` in all."""
        found = [self._first]
        for word in _words(text[: most * CHARACTERS_MAX]):
            found += self._pieces(word[: WORD_MAX + 1])  # the cache would hold longer words whole
            if len(found) >= most:
                break
        return [*found[: most - 1], self._last]

    def _cut(self, word: str) -> tuple[int, ...]:
        if len(word) > WORD_MAX:
            return (self._unknown,)
        found: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._numbers.get(("##" if start else "") + word[start:end])
                if number is not None:
                    break
            else:
                return (self._unknown,)
            found.append(number)
            start = end
        return tuple(found)


def _words(text: str) -> Iterator[str]:
    for word in _plain(text).split(" "):
        start = 0
        for at, letter in enumerate(word):
            if _is_punctuation(letter):
                if start < at:
                    yield word[start:at]
                yield letter
                start = at + 1
        if start < len(word):
            yield word[start:]


def _plain(text: str) -> str:
    """Return a text in lower case, without accents and control characters, and with spaces as its only white space."""
    if text.isascii() and text.isprintable():
        return text.lower()
    cleaned = "".join(_cleaned(letter) for letter in text)
    bare = (letter for letter in unicodedata.normalize("NFD", cleaned) if unicodedata.category(letter) != "Mn")
    return "".join(letter.lower() for letter in bare)


def _cleaned(letter: str) -> str:
    if letter.isspace():
        return " "
    if letter == "\ufffd" or unicodedata.category(letter).startswith("C"):
        return ""
    number = ord(letter)
    return f" {letter} " if any(first <= number <= last for first, last in _CHINESE) else letter


@lru_cache(maxsize=4_096)
def _is_punctuation(letter: str) -> bool:
    """Punctuation to Unicode, or any sign of ASCII."""
    is_sign = letter.isascii() and letter.isprintable() and not letter.isalnum() and letter != " "
    return is_sign or unicodedata.category(letter).startswith("P")
