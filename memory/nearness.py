"""The part of a recall that goes by meaning (acts: reads a Store): what its vector is near to, and how alike that is."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from memory import vectors
from memory.arrays import Floats
from memory.spaces import Space
from memory.store import Reader, Store
from memory.vectors import Near

REPEATS: Final = 0.8


class Meaning(Struct, frozen=True, kw_only=True):
    """A question's vector, of the model of this name. trust: how much its nearness means, from 0 to 1 (ranking.fused)."""

    model: str
    vector: Floats
    trust: float = 1.0


def near(store: Store | Reader, place: Space, meaning: Meaning, passing: set[int] | None) -> list[Near]:
    """The space's chunks that are near, best first."""
    return vectors.nearest(store, place, meaning.model, meaning.vector, passing)


def likeness(found: Sequence[Near]) -> Callable[[int, int], float]:
    """How far two fragments repeat each other, by their best chunks' vectors: 0 up to the cosine REPEATS, 1 for the same.

    0 where one has no vector. A cosine below that is a common subject, which is what was asked for.
    """
    best: dict[int, Floats] = {}
    for one in found:
        best.setdefault(one.fragment, one.vector)

    def alike(one: int, other: int) -> float:
        if one not in best or other not in best:
            return 0.0
        return max(0.0, (float(best[one] @ best[other]) - REPEATS) / (1 - REPEATS))

    return alike
