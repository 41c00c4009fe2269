"""How what was found is put in order (pure): BM25's weights, fusion by rank, time, importance and diversity.

Every formula is in docs/memory.md with its source. Nothing here was fitted to a collection: the constants are those of the
literature, or chosen so small that they order what is otherwise alike.
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
"""Microseconds after which a fragment's freshness is halved."""

RECENCY: Final = 0.05
IMPORTANCE: Final = 0.2
"""What the freshest gains over the oldest, and the most important over the least, as a share of the fused score."""

DIVERSITY: Final = 0.1
"""What a result loses that repeats one before it, as a share of the greatest score (1 - lambda of MMR)."""


class Asked(Struct, frozen=True, kw_only=True):
    """A term of a question. chunks, places: in how many it stands, counted to a bound; used: whether it was looked up.

    A term that stands nowhere is not looked up, and neither is one that is too common.
    """

    term: str
    chunks: int
    places: int
    used: bool


def chosen(standing: Mapping[str, tuple[int, int]], most: int) -> tuple[Asked, ...]:
    """The terms to look up, rarest first, as many as stand in at most `most` places together, and the rarest always.

    standing: of each term in how many chunks, and in how many places.

    What is left out is common, and says least: it is what BM25 would give the least weight.
    """
    left = most
    found: list[Asked] = []
    for term, (chunks, places) in sorted(standing.items(), key=lambda one: (one[1], one[0])):
        used = 0 < places <= left or (places > 0 and not any(one.used for one in found))
        left -= places if used else 0
        found.append(Asked(term=term, chunks=chunks, places=places, used=used))
    return tuple(found)


def asked_weight(groups: Iterable[Iterable[Asked]], weights: Mapping[str, float], unknown: float) -> float:
    """The weight of all words of a question: of each the greatest of its terms', `unknown` where none stands anywhere.

    A word that was left out as too common has none: no fragment can be told to have it.
    """
    total = 0.0
    for group in groups:
        known = [weights[one.term] for one in group if one.used]
        is_nowhere = all(one.places == 0 for one in group)
        total += max(known) if known else unknown if is_nowhere else 0.0
    return total


def idf(chunks: int, having: int) -> float:
    """A term's weight: chunks in the space, and those that have it. Never negative (Lucene's form of BM25's)."""
    return math.log1p((chunks - having + 0.5) / (having + 0.5))


def fused(words: int | None, matched: float, known: float, meaning: int | None, trust: float) -> float:
    """The fused score of what has these ranks, from 1 on: 1 for what is first in both parts and has all of the words.

    matched: the share of the question's words that it has, each by its idf. known: the greatest such share of all that was
    found, by which the words as a whole count: a question that stands nowhere in its own words is one for the vectors.
    trust: in the vectors, from 0 to 1. The more they are trusted, the less does a fragment gain that is high among the words
    and has fewer of them than others: in talk, where most of what is asked for is said in other words, that would be whoever
    says the one name in the question.
    """
    score = 0.0 if words is None or not known else known**2 * (matched / known) ** (2 * trust) / (RRF + words)
    score += 0.0 if meaning is None else trust / (RRF + meaning)
    return score * (RRF + 1) / (1 + trust)


def trust(reach: float, length: float) -> float:
    """How much nearness of vectors means, from 0 to 1, where chunks are `length` words long on average.

    A vector that is put together from words, each by itself, is a mean: every word more dilutes it. reach: up to how many
    words it can be trusted wholly; infinite for what reads a text as a whole.
    """
    return min(1.0, reach / length) if length else 1.0


def freshness(age: int) -> float:
    """1 for now and the future, half of it after each HALF_LIFE."""
    return math.exp2(-max(0, age) / HALF_LIFE)


def weighed(score: float, *, freshness: float, importance: float, recency: float) -> float:
    """A fused score with time and importance in it; recency: what the freshest gains."""
    return score * (1 + recency * freshness) * (1 + IMPORTANCE * (importance - 0.5))


def within_reach(scores: Mapping[int, float], most: int, recency: float) -> list[int]:
    """In order, those whose fused scores let them be among the best `most` once time and importance are weighed."""
    if len(scores) <= most:
        return sorted(scores)
    last = sorted(scores.values(), reverse=True)[most - 1]
    least = weighed(last, freshness=0, importance=0, recency=recency)
    gain = weighed(1, freshness=1, importance=1, recency=recency)
    return sorted(one for one, score in scores.items() if score * gain >= least)


def diverse(
    scores: Sequence[float], likeness: Sequence[Sequence[float]], most: int, diversity: float
) -> list[tuple[int, float]]:
    """Maximal marginal relevance (Carbonell and Goldstein, 1998): the best `most` in order, each with what it was taken at.

    A candidate's value is its score less `diversity` * the greatest score * its greatest likeness to what was taken before.
    likeness: of each to each; empty where nothing is known of it.
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
