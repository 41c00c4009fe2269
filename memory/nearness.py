"""The search by meaning of a recall: fragments of the nearest chunks, and their likeness (acts: reads a Store)."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory.arrays import Floats, np
from memory.bm25 import Hit
from memory.errors import ASTRAY, Damaged
from memory.filters import to_json
from memory.queries import queries
from memory.store import Reader
from memory.vectors import Nearest

REPEATS: Final = 0.8
TOGETHER: Final = 100
"""The number of chunks whose fragments are read at once: mostly enough for the fusion."""

_SQL: Final = queries("recall")


class Meaning(Struct, frozen=True, kw_only=True):
    """A question's vector, of the model of this name. reach: the most words that they represent well (ranking.trust)."""

    model: str
    vector: Floats
    reach: float = math.inf


def hits(store: Reader, near: Nearest) -> Iterator[Hit]:
    """Yield the nearest chunks with their fragments, best first, read lazily. Raises Damaged."""
    for at in range(0, len(near.chunks), TOGETHER):
        chunks = near.chunks[at : at + TOGETHER].tolist()
        told = store.rows(_SQL["fragments_of"], {"ids": to_json(chunks)})
        fragments = dict(msgspec.convert(told, list[tuple[int, int]]))
        if len(fragments) != len(chunks):
            raise Damaged(ASTRAY)
        for chunk, score in zip(chunks, near.scores[at : at + TOGETHER].tolist(), strict=True):
            yield Hit(chunk, fragments[chunk], score)


def likeness(near: Nearest, chunks: Sequence[int]) -> list[list[float]]:
    """Return how far each of these chunks repeats each other: 0 up to cosine REPEATS or if one is not near, 1 for equal ones.

    A lower cosine shows a common subject, which the question asked for.
    """
    if not len(near.chunks) or not chunks:
        return []
    rows = dict(zip(near.chunks.tolist(), near.rows.tolist(), strict=True))
    known = [at for at, chunk in enumerate(chunks) if chunk in rows]
    kept = np.zeros((len(chunks), near.vectors.shape[1]), np.float32)
    kept[known] = near.vectors[[rows[chunks[at]] for at in known]]
    repeats = np.maximum(0, (kept @ kept.T - REPEATS) / (1 - REPEATS))
    told: list[list[float]] = repeats.tolist()
    return told
