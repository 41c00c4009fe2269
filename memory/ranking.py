"""Ranking of recalled fragments (pure): BM25's weights, rank fusion, time, importance and diversity.

docs/memory.md has every formula with its source. Nothing was fitted to a collection: the constants come from the
literature, or are so small that they only order what is otherwise equal.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

K1: Final = 1.2
B: Final = 0.75
"""BM25's saturation and length normalisation (Robertson and Zaragoza, 2009)."""

RRF: Final = 60
"""Reciprocal rank fusion's constant (Cormack, Clarke and Buettcher, 2009)."""

HALF_LIFE: Final = 30 * 24 * 3_600 * 1_000_000
"""The time, in microseconds, in which a fragment's freshness halves."""

RECENCY: Final = 0.05
IMPORTANCE: Final = 0.2
"""The gain of the freshest over the oldest, and of the most important over the least, as a share of the fused score."""

DIVERSITY: Final = 0.1
"""The loss of a result that repeats one before it, as a share of the greatest score (1 - lambda of MMR)."""


class Term(Struct, frozen=True, kw_only=True):
    """A term of a question. chunks, places: the number of chunks and of occurrences, up to a bound; used: it was looked up.

    Terms that do not occur, or are too common, are not looked up.
    """

    term: str
    chunks: int
    places: int
    used: bool


def choose_terms(standing: Mapping[str, tuple[int, int]], most: int) -> tuple[Term, ...]:
    """Choose the terms to look up, rarest first, with at most `most` occurrences together; the rarest one always.

    standing: by term, its numbers of chunks and of occurrences. Terms that are left out are common, and BM25 would give them
    the least weight.
    """
    left = most
    found: list[Term] = []
    for term, (chunks, places) in sorted(standing.items(), key=lambda one: (one[1], one[0])):
        used = 0 < places <= left or (places > 0 and not any(one.used for one in found))
        left -= places if used else 0
        found.append(Term(term=term, chunks=chunks, places=places, used=used))
    return tuple(found)


def question_weight(groups: Iterable[Iterable[Term]], weights: Mapping[str, float], unknown: float) -> float:
    """Return the weight of all words of a question: for each the greatest of its terms', `unknown` if none occurs.

    A word that was left out as too common has no weight, since it is unknown which fragments have it.
    """
    total = 0.0
    for group in groups:
        known = [weights[one.term] for one in group if one.used]
        is_nowhere = all(one.places == 0 for one in group)
        total += max(known) if known else unknown if is_nowhere else 0.0
    return total


def idf(chunks: int, having: int) -> float:
    """Return a term's weight. chunks: in the space; having: those with the term. Never negative (Lucene's form of BM25's)."""
    return math.log1p((chunks - having + 0.5) / (having + 0.5))


def fuse(words: int | None, matched: float, known: float, meaning: int | None, trust: float) -> float:
    """Return the fused score of a fragment with these ranks, from 1 on: 1 if it is first in both and has all words.

    matched: the share of the question's words that it has, weighted by idf. known: the greatest such share of any result,
    which weights the search by words as a whole: if no fragment has the question's words, the vectors decide. trust: in the
    vectors, from 0 to 1. The higher it is, the less a fragment gains by words if it has fewer of them than others: in
    conversations, where answers use other words than questions, it would otherwise be any message with the name in question.
    """
    score = 0.0 if words is None or not known else known**2 * (matched / known) ** (2 * trust) / (RRF + words)
    score += 0.0 if meaning is None else trust / (RRF + meaning)
    return score * (RRF + 1) / (1 + trust)


def trust(reach: float, length: float) -> float:
    """Return the trust in vectors, from 0 to 1, for chunks of `length` words on average.

    A vector that is the mean of its words' vectors is diluted by each further word. reach: the most words at which it is
    fully trusted; infinite for a model that reads a text as a whole.
    """
    return min(1.0, reach / length) if length else 1.0


def freshness(age: int) -> float:
    """Return a fragment's freshness: 1 for now and the future, halved after each HALF_LIFE. age: microseconds."""
    return math.exp2(-max(0, age) / HALF_LIFE)


def weigh(score: float, *, freshness: float, importance: float, recency: float) -> float:
    """Weight a fused score by time and importance. recency: the gain of the freshest."""
    return score * (1 + recency * freshness) * (1 + IMPORTANCE * (importance - 0.5))


def within_reach(scores: Mapping[int, float], most: int, recency: float) -> list[int]:
    """Return, in order of their ids, those that can be among the best `most` after weighting by time and importance."""
    if len(scores) <= most:
        return sorted(scores)
    last = sorted(scores.values(), reverse=True)[most - 1]
    least = weigh(last, freshness=0, importance=0, recency=recency)
    gain = weigh(1, freshness=1, importance=1, recency=recency)
    return sorted(one for one, score in scores.items() if score * gain >= least)


def diversify(
    scores: Sequence[float], likeness: Sequence[Sequence[float]], most: int, diversity: float
) -> list[tuple[int, float]]:
    """Return the indexes of the best `most`, in order, with their values: maximal marginal relevance (Carbonell and
    Goldstein, 1998).

    A candidate's value is its score less `diversity` * the greatest score * its greatest likeness to one taken before.
    likeness: of each to each; empty if unknown.
    """
    loss = diversity * max(scores, default=0.0)
    values, repeats = list(scores), [0.0] * len(scores)
    left = list(range(len(scores)))
    taken: list[tuple[int, float]] = []
    while left and len(taken) < most:
        best = max(left, key=values.__getitem__)  # the first of equals
        left.remove(best)
        taken.append((best, values[best]))
        if loss and likeness:
            alike = likeness[best]
            for one in left:
                if alike[one] > repeats[one]:
                    repeats[one] = alike[one]
                    values[one] = scores[one] - loss * alike[one]
    return taken
