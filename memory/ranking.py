"""How what was found is put in order (pure): BM25's weights, fusion by rank, time, importance and diversity.

Every formula is in docs/memory.md with its source. Nothing here was fitted to a collection: the constants are those of the
literature, or chosen so small that they order what is otherwise alike.
"""

import math
from collections.abc import Callable, Mapping, Sequence
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
"""What a result loses that is the same as one before it, as a share of the greatest score (1 - lambda of MMR)."""


class Asked(Struct, frozen=True, kw_only=True):
    """A term of a question. postings: places where it stands, counted up to a bound; used: whether it was looked up."""

    term: str
    postings: int
    used: bool


def chosen(postings: Mapping[str, int], most: int) -> tuple[Asked, ...]:
    """The terms to look up, rarest first, as many as have at most `most` postings together, and the rarest always.

    What is left out is common, and says least: it is what BM25 would give the least weight.
    """
    left = most
    found: list[Asked] = []
    for term, count in sorted(postings.items(), key=lambda one: (one[1], one[0])):
        used = 0 < count <= left or (count > 0 and not any(one.used for one in found))
        left -= count if used else 0
        found.append(Asked(term=term, postings=count, used=used))
    return tuple(found)


def idf(chunks: int, having: int) -> float:
    """A term's weight: chunks in the space, and those that have it. Never negative (Lucene's form of BM25's)."""
    return math.log1p((chunks - having + 0.5) / (having + 0.5))


def fused(ranks: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """The fused score of what has these ranks, from 1 on, in some of the parts: 1 for the first in all of them."""
    best = sum(weight / (RRF + 1) for weight in weights.values())
    return sum(weights[part] / (RRF + rank) for part, rank in ranks.items()) / best


def freshness(age: int) -> float:
    """1 for now and the future, half of it after each HALF_LIFE."""
    return math.exp2(-max(0, age) / HALF_LIFE)


def weighed(score: float, *, age: int, importance: float, recency: float) -> float:
    """A fused score with time and importance in it; recency: what the freshest gains."""
    return score * (1 + recency * freshness(age)) * (1 + IMPORTANCE * (importance - 0.5))


def diverse(
    scores: Sequence[float], likeness: Callable[[int, int], float], most: int, diversity: float
) -> list[tuple[int, float]]:
    """Maximal marginal relevance (Carbonell and Goldstein, 1998): the best `most` in order, each with what it was taken at.

    A candidate's value is its score less `diversity` * the greatest score * its likeness to what was taken before.
    """
    top = max(scores, default=0.0)
    left = dict.fromkeys(range(len(scores)), 0.0)
    taken: list[tuple[int, float]] = []
    while left and len(taken) < most:
        best = max(left, key=lambda one: (scores[one] - diversity * top * left[one], -one))
        taken.append((best, scores[best] - diversity * top * left.pop(best)))
        if diversity:
            left = {one: max(like, likeness(one, best)) for one, like in left.items()}
    return taken
