"""When two texts say the same, so that the second need not be kept (pure).

Careful on purpose: a merge that is missed costs some bytes, one that is wrong costs a fact. Two texts are the same only if
they differ in white space, in how Unicode writes a letter, in the case of a sentence's first word, in which quotation marks
or dashes they use, in a full stop at the end, or in “the”. A differing number, sign, unit, name, negation, order,
question mark or any other word makes them two. Likeness by share of trigrams (MinHash, SimHash) was left out for that reason:
in two paragraphs that differ by one word, that word is what matters.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby
from typing import Final

_PLAIN: Final = str.maketrans({"“": '"', "”": '"', "„": '"', "’": "'", "‘": "'", "–": "-", "—": "-"})
_ARTICLE: Final = re.compile(r"(?<![\w'.-])the (?=\w)")
_EXACT: Final = re.compile(r"[^\s\w.,;'\"]|(?<!\w)\w*(?:[^\W\d_a-z]|\d)\w*(?:[.,'-]\w+)*")
"""A sign; a word with a digit, or with a letter that is not a small ASCII one. A word is tried from its beginning alone."""

MARKS_MOST: Final = 30
"""Marks on one letter, more than any script has (UAX #15, section 13, "Stream-Safe Text Format")."""

_SENTENCE: Final = re.compile(r"(^|[.!?] )([^\W\d_])(?=[a-z]*(?:[ ,]|$))")


def sameness(text: str, *further: str) -> bytes:
    """32 bytes that are equal for texts that say the same, when what else must agree (kind, metadata) is equal, too."""
    digest = hashlib.sha256(normal_form(text).encode("utf-8", "surrogatepass"))
    for part in further:
        digest.update(b"\0" + hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest())
    return digest.digest()


def nearly(text: str, stems: Iterable[str]) -> tuple[str, ...]:
    """What near-duplicates have in common: stems in order without articles, and every number, sign and name as it stands.

    Looser than `sameness` by the forms of words and by commas alone; consolidation compares by it, which archives and
    deletes nothing.
    """
    exact = _EXACT.findall(normal_form(text))
    return (*(stem for stem in stems if stem not in ("a", "an", "the")), "\0", *exact)


def normal_form(text: str) -> str:
    """The text without what makes no difference."""
    plain = " ".join(_composed(text).translate(_PLAIN).split())
    lowered = _SENTENCE.sub(lambda found: found[1] + found[2].lower(), plain)
    return re.sub(r"(?<=\w)\.$", "", _ARTICLE.sub("", lowered))


def _composed(text: str) -> str:
    """In the one way of writing each letter (NFC).

    A text with more than MARKS_MOST marks on a letter stays as it is: to order them takes Python time by the square of
    their number, minutes for the longest text, in which nobody else has an answer.
    """
    if text.isascii() or any(is_mark and sum(1 for _ in run) > MARKS_MOST for is_mark, run in groupby(text, _is_mark)):
        return text
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=4_096)
def _is_mark(letter: str) -> bool:
    """Whether it stands on the letter before it, or comes apart into what does."""
    return unicodedata.combining(unicodedata.normalize("NFD", letter)[0]) > 0
