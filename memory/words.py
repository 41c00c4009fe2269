"""The terms of texts and questions: stems, or character n-grams in scripts without spaces between words (pure).

A text's words are its runs of letters, marks and digits in lower case, each reduced to its stem by its language's Snowball
stemmer, without accents. Chinese, Japanese, Korean, Thai, Lao, Burmese and Khmer have no spaces between words: their runs are
indexed by all n-grams of one to three characters, and searched by those of two and three. Trigrams alone, as in SQLite's
trigram tokenizer, would not find most Chinese words, which have two characters.

A question's function words are left out, unless it has no others. Question and text may be in different languages, so each
word is searched by its stems in all languages of the space, as alternatives.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

import Stemmer

from memory.languages import LANGUAGES, UNSPACED, language

WORD_MAX: Final = 40
"""The most characters of a word that count."""

SAMPLE: Final = 200
"""The number of words by which a text's language is detected."""

ASKED_MAX: Final = 64
"""The most words of a question that count: the first ones."""

READ_MAX: Final = 8_192
"""The most characters read of a question, and of a text to detect its language."""

_POINTS: Final = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
_LETTER: Final = f"(?:(?![{UNSPACED}])[^\\W_]|[{_POINTS}\u0900-\u0963\u0966-\u0dff])"
_RUN: Final = re.compile(f"[{UNSPACED}]+|{_LETTER}+(?:['’]{_LETTER}+)*")
_IS_UNSPACED: Final = re.compile(f"[{UNSPACED}]")
_IS_POINT: Final = re.compile(f"[{_POINTS}]+")
_STEMMERS: Final = {name: Stemmer.Stemmer(name, 0) for name in LANGUAGES}


def language_of(text: str) -> str:
    """Return the language of a text, by its beginning."""
    return language(islice(_runs(text[:READ_MAX]), SAMPLE))


def index_terms(text: str, tongue: str) -> tuple[str, ...]:
    """Return the terms by which a text in this language is indexed, in order, with repetitions.

    For an unknown language, as in a damaged row, the language is detected.
    """
    known = tongue if tongue in LANGUAGES else language_of(text)
    return tuple(term for run in _runs(text) for term in _terms(run, known))


def content_terms(text: str) -> tuple[str, ...]:
    """Return a text's terms without function words, unless it has no others."""
    tongue = language_of(text)
    runs = tuple(_runs(text))
    wanted = [run for run in runs if run not in LANGUAGES[tongue]] or runs
    return tuple(term for run in wanted for term in _terms(run, tongue))


def question_terms(question: str, languages: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return a question's words, each once, as its alternative stems in these languages."""
    runs = tuple(dict.fromkeys(islice(_runs(question[:READ_MAX]), ASKED_MAX * 4)))
    tongue = language(runs)
    function_words = LANGUAGES[tongue]
    tongues = tuple(dict.fromkeys((tongue, *(one for one in languages if one in LANGUAGES))))
    wanted = [run for run in runs if run not in function_words] or runs
    groups = (group for run in wanted for group in _asked(run, tongues))
    return tuple(islice(dict.fromkeys(groups), ASKED_MAX))


def _runs(text: str) -> Iterator[str]:
    for found in _RUN.finditer(unicodedata.normalize("NFKC", text).lower()):
        yield found[0].replace("’", "'")


def _terms(run: str, tongue: str) -> Iterator[str]:
    if _IS_UNSPACED.match(run):
        for size in (1, 2, 3):
            yield from _grams(run, size)
    else:
        yield from _stems(run, tongue)


def _asked(run: str, tongues: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if _IS_UNSPACED.match(run):
        sizes = (2, 3) if len(run) > 1 else (1,)
        yield from ((gram,) for size in sizes for gram in _grams(run, size))
    elif alternatives := dict.fromkeys(stem for tongue in tongues for stem in _stems(run, tongue)):
        yield tuple(alternatives)


def _grams(run: str, size: int) -> Iterator[str]:
    return (run[start : start + size] for start in range(len(run) - size + 1))


def _stems(run: str, tongue: str) -> tuple[str, ...]:
    """Return the stem of a word. Except in English an apostrophe joins two words: function words are dropped."""
    return _known_stems(run, tongue) if len(run) <= WORD_MAX else _make_stems(run, tongue)


def _make_stems(run: str, tongue: str) -> tuple[str, ...]:
    parts = [run] if tongue == "english" else run.split("'")
    kept = [part for part in parts if len(parts) == 1 or part not in LANGUAGES[tongue]] or parts
    return tuple(stem for part in kept if (stem := _bare(_STEMMERS[tongue].stemWord(part[:WORD_MAX]))))


_known_stems: Final = lru_cache(maxsize=20_000)(_make_stems)
"""The same from a cache, for words of WORD_MAX characters at most: it holds each word whole."""


def _bare(word: str) -> str:
    """Return a word without accents and vowel points, which people often leave out."""
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _IS_POINT.sub("", unicodedata.normalize("NFD", word)))
