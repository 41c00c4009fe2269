"""Classical methods for texts, without a language model (pure), each from its paper, with numpy.

    summarise   the sentences most similar to all others: LexRank (Erkan and Radev, 2004), PageRank over the cosines of tf-idf
                vectors; in the text's own order
    phrases     runs of words between function words and punctuation, scored by the degree of their words: RAKE (Rose and
                others, 2010)
    rank        BM25 (Robertson and Zaragoza, 2009) with k1 = 1.2, b = 0.75
    classify    BM25 of the labels' words in the text; a label may list words: "sport: football, match, goal"

Words are compared by their lower-case stems (Snowball, English). All is deterministic: equal scores keep the order of
the input. What is read is bounded; the caller reports what was left out.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import Stemmer

SENTENCES_MOST: Final = 500
"""Sentences of a text that are read, at most."""

STEMS_MOST: Final = 4_096
"""Stems by which sentences are compared, at most: the most frequent ones."""

WORD_MOST: Final = 40
"""Characters by which words are compared, at most."""

RANKED_MOST: Final = 10_000
"""Texts that are ranked at once, at most."""

_DAMPING: Final = 0.85
_ROUNDS: Final = 50
_K1: Final = 1.2
_B: Final = 0.75
_CAPITAL: Final = "A-Z0-9À-ÞА-Я一-龥ぁ-んァ-ン"
_END: Final = re.compile(rf"""(?<=[.!?…。！？])["'”’)\]]*\s+(?=["'“‘(\[]?[{_CAPITAL}])|\n\s*\n|\n(?=\s*[-*#|>\d])""")
"""Where a sentence ends: a stop before a capital, an empty line, or a line that begins a list item."""

_WORDS: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SHORT: Final = frozenset(
    {"approx", "bzw", "dr", "e.g", "etc", "fig", "i.e", "mr", "mrs", "ms", "no", "prof", "st", "vs", "z.b"}
)
_FUNCTION_WORDS: Final = """
a about above after again all also am an and any are as at be because been before being below between both but by can could
did do does doing down during each few for from further had has have having he her here hers him his how i if in into is it
its itself just me more most my no nor not now of off on once only or other our ours out over own same she should so some
such than that the their theirs them then there these they this those through to too under until up very was we were what
when where which while who whom why will with would you your yours may might must shall upon yet said says
der die das und oder ein eine einer eines einem einen ist sind war waren im den dem des zu mit von auf für nicht auch
le la les un une du de et ou est sont dans pour par sur avec que qui ne pas el los las y o en es son con se"""
_FUNCTION: Final = frozenset(_FUNCTION_WORDS.split())


def sentences(text: str) -> list[str]:
    """Return a text's sentences, list items and paragraphs; none is empty."""
    found: list[list[str]] = []
    for piece in _END.split(text):
        whole = " ".join(piece.split())
        if not whole:
            continue
        last = found[-1][-1] if found else ""
        if last.endswith(".") and last.rstrip(".").rpartition(" ")[2].lower() in _SHORT:
            found[-1].append(whole)
        else:
            found.append([whole])
    return [" ".join(pieces) for pieces in found]


def stems(text: str) -> list[str]:
    """Return the stems of a text's words, without function words."""
    words = (word.lower().replace("’", "'") for word in _WORDS.findall(text))
    return [_stem(word) for word in words if word not in _FUNCTION]


def summarise(text: str, most: int = 0) -> list[str]:
    """Return the key sentences in their order. most: 0 for a fifth of them, at least one and at most seven."""
    import numpy as np

    found = sentences(text)[:SENTENCES_MOST]
    most = most or max(1, min(7, -(-len(found) // 5)))
    if len(found) <= most:
        return found
    counts = [Counter(stems(one)) for one in found]
    spread = Counter(stem for count in counts for stem in count)
    places = {stem: place for place, (stem, _) in enumerate(spread.most_common(STEMS_MOST))}
    rows = np.zeros((len(found), max(1, len(places))), np.float32)
    for row, count in zip(rows, counts, strict=True):
        weights = {stem: times * math.log(1 + len(found) / spread[stem]) for stem, times in count.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        for stem, weight in weights.items():
            if stem in places:
                row[places[stem]] = weight / length
    likeness = rows @ rows.T
    np.fill_diagonal(likeness, 0)
    sums = likeness.sum(axis=1, keepdims=True)
    steps = np.where(sums > 0, likeness / np.where(sums > 0, sums, 1), 1 / len(found))
    score = np.full(len(found), 1 / len(found))
    for _ in range(_ROUNDS):
        score = (1 - _DAMPING) / len(found) + _DAMPING * (score @ steps)
    best = sorted(range(len(found)), key=lambda place: (-round(float(score[place]), 9), place))[:most]
    return [found[place] for place in sorted(best)]


def phrases(text: str, most: int = 0) -> list[str]:
    """Return the key phrases, best first. most: 0 for ten."""
    runs = [run for run in _runs(text) if 0 < len(run) <= 4 and len("".join(run)) > 2]
    often = Counter(_stem(word.lower()) for run in runs for word in run)
    degree: Counter[str] = Counter()
    for found in runs:
        for word in found:
            degree[_stem(word.lower())] += len(found)
    score: dict[str, float] = {}
    shown: dict[str, str] = {}
    for found in runs:
        key = " ".join(_stem(word.lower()) for word in found)
        shown.setdefault(key, " ".join(found))
        score[key] = score.get(key, 0.0) + sum(degree[one] / often[one] for one in key.split())
    return [shown[key] for key in sorted(score, key=lambda key: -score[key])[: most or 10]]


def _runs(text: str) -> Iterator[list[str]]:
    """Yield runs of words with no punctuation, number or function word between them."""
    for sentence in sentences(text)[:SENTENCES_MOST]:
        for stretch in re.split(r"[^\w\s'’-]+|\s[-–—]\s", sentence):
            words = map(str, _WORDS.findall(stretch))
            for joins, run in groupby(words, lambda word: word.lower() in _FUNCTION or word.isdigit()):
                if not joins:
                    yield list(run)


def rank(query: str, texts: Sequence[str]) -> list[tuple[int, float]]:
    """Return the indexes of the texts, best first, each with its score; 0 if the text has no word of the query."""
    counts = [Counter(stems(text)) for text in texts[:RANKED_MOST]]
    lengths = [sum(count.values()) for count in counts]
    mean = max(1.0, sum(lengths) / max(1, len(lengths)))
    spread = Counter(stem for count in counts for stem in count)
    wanted = sorted(set(stems(query)))
    scores: list[float] = []
    for count, length in zip(counts, lengths, strict=True):
        total = 0.0
        for stem in wanted:
            if times := count.get(stem, 0):
                rare = math.log(1 + (len(counts) - spread[stem] + 0.5) / (spread[stem] + 0.5))
                total += rare * times * (_K1 + 1) / (times + _K1 * (1 - _B + _B * length / mean))
        scores.append(round(total, 6))
    return sorted(enumerate(scores), key=lambda one: -one[1])


def classify(text: str, labels: Sequence[str]) -> list[tuple[str, float]]:
    """Return the labels, best first, each with its score; 0 if the text has none of its words."""
    named = [(label.partition(":")[0].strip(), set(stems(label))) for label in labels]
    count = Counter(stems(text))
    length = max(1, sum(count.values()))
    spread = Counter(stem for _, words in named for stem in words)
    scores = [
        (
            name,
            round(
                sum(
                    math.log(1 + len(named) / spread[stem]) * times * (_K1 + 1) / (times + _K1)
                    for stem in sorted(words)
                    if (times := count.get(stem, 0))
                )
                / math.log(2 + length),
                6,
            ),
        )
        for name, words in named
    ]
    return sorted(scores, key=lambda one: -one[1])


def _stem(word: str) -> str:
    return _stem_of(word[:WORD_MOST])  # the cache would hold long words whole


@lru_cache(maxsize=8_192)
def _stem_of(word: str) -> str:
    return str(_stemmer().stemWord(word))


@lru_cache(maxsize=1)
def _stemmer() -> "Stemmer.Stemmer":
    import Stemmer

    return Stemmer.Stemmer("english", 0)  # with no cache of its own
