"""The part of a recall that goes by meaning (acts: reads a Store): what its vector is near to, and how alike that is."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from memory import vectors
from memory.arrays import Floats
from memory.spaces import Space
from memory.store import Reader, Store
from memory.vectors import Near


class Meaning(Struct, frozen=True, kw_only=True):
    """A question's vector, of the model of this name. trust: how much its nearness means, from 0 to 1 (ranking.fused)."""

    model: str
    vector: Floats
    trust: float = 1.0


def near(store: Store | Reader, place: Space, meaning: Meaning, passing: set[int] | None) -> list[Near]:
    """The space's chunks that are near, best first."""
    return vectors.nearest(store, place, meaning.model, meaning.vector, passing)


def likeness(found: Sequence[Near]) -> Callable[[int, int], float]:
    """How alike two fragments are, by the vectors of their best chunks: their cosine, 0 where one has none."""
    best: dict[int, Floats] = {}
    for one in found:
        best.setdefault(one.fragment, one.vector)

    def alike(one: int, other: int) -> float:
        if one not in best or other not in best:
            return 0.0
        return max(0.0, float(best[one] @ best[other]))

    return alike
