"""Detection of duplicate texts, of which the second need not be stored (pure).

Conservative on purpose: a missed merge costs some bytes, a wrong one loses a fact. Two texts are duplicates only if they
differ in nothing but white space, Unicode's spelling of a letter, the case of a sentence's first word, the kind of quotation
marks or dashes, a full stop at the end, or “the”. Any other difference, such as a number, sign, unit, name, negation, order
or question mark, makes them two texts. Similarity by trigrams (MinHash, SimHash) is not used for that reason: in two
paragraphs that differ by one word, that word is what matters.
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
"""A sign; or a word with a digit, or with a letter other than a-z. Matches of words begin only at their first letter."""

MARKS_MOST: Final = 30
"""The most marks on one letter: more than any script has (UAX #15, section 13, "Stream-Safe Text Format")."""

_SENTENCE: Final = re.compile(r"(^|[.!?] )([^\W\d_])(?=[a-z]*(?:[ ,]|$))")


def sameness(text: str, *further: str) -> bytes:
    """Return 32 bytes that are equal for duplicate texts with equal `further` (space, kind, metadata)."""
    digest = hashlib.sha256(normal_form(text).encode("utf-8", "surrogatepass"))
    for part in further:
        digest.update(b"\0" + hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest())
    return digest.digest()


def near_duplicate_key(text: str, stems: Iterable[str]) -> tuple[str, ...]:
    """Return a key that near-duplicates share: stems in order without articles, and all numbers, signs and names, literally.

    It ignores only forms of words and commas beyond `sameness`. Consolidation uses it, which archives and deletes nothing.
    """
    exact = _EXACT.findall(normal_form(text))
    return (*(stem for stem in stems if stem not in ("a", "an", "the")), "\0", *exact)


def normal_form(text: str) -> str:
    """Return the text without the differences that duplicates may have."""
    plain = " ".join(_composed(text).translate(_PLAIN).split())
    lowered = _SENTENCE.sub(lambda found: found[1] + found[2].lower(), plain)
    return re.sub(r"(?<=\w)\.$", "", _ARTICLE.sub("", lowered))


def _composed(text: str) -> str:
    """Return the text in NFC.

    A text with more than MARKS_MOST marks on a letter is returned unchanged: Python sorts marks in quadratic time, minutes
    for the longest text, in which no other call would be answered.
    """
    if text.isascii() or any(is_mark and sum(1 for _ in run) > MARKS_MOST for is_mark, run in groupby(text, _is_mark)):
        return text
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=4_096)
def _is_mark(letter: str) -> bool:
    """Whether a character combines with the one before it, or decomposes into one that does."""
    return unicodedata.combining(unicodedata.normalize("NFD", letter)[0]) > 0
