"""The part of a recall that goes by meaning (acts: reads a Store): what its vector is near to, and how alike that is."""

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from memory import vectors
from memory.arrays import Floats, Numbers, np
from memory.spaces import Space
from memory.store import Reader, Store
from memory.vectors import Near

REPEATS: Final = 0.8


class Meaning(Struct, frozen=True, kw_only=True):
    """A question's vector, of the model of this name. reach: of how many words its vectors can tell (ranking.trust)."""

    model: str
    vector: Floats
    reach: float = math.inf


def near(store: Store | Reader, place: Space, meaning: Meaning, passing: Numbers | None) -> list[Near]:
    """The space's chunks that are near, best first."""
    return vectors.nearest(store, place, meaning.model, meaning.vector, passing)


def likeness(found: Sequence[Near], fragments: Sequence[int]) -> list[list[float]]:
    """How far each of these fragments repeats each other: 0 up to the cosine REPEATS or without a vector, 1 for the same.

    A cosine below that is a common subject, which is what was asked for.
    """
    best: dict[int, Floats] = {}
    for one in found:
        best.setdefault(one.fragment, one.vector)
    if not best or not fragments:
        return []
    none = np.zeros(len(found[0].vector), np.float32)
    rows = np.stack([best.get(fragment, none) for fragment in fragments])
    repeats = np.maximum(0, (rows @ rows.T - REPEATS) / (1 - REPEATS))
    told: list[list[float]] = repeats.tolist()
    return told
