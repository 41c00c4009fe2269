"""What of a recall goes by meaning: fragments of the chunks that are near, and how alike they are (acts: reads a Store)."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory.arrays import Floats, np
from memory.bm25 import Hit
from memory.errors import ASTRAY, Damaged
from memory.filters import encoded
from memory.queries import queries
from memory.store import Reader
from memory.vectors import Nearest

REPEATS: Final = 0.8
TOGETHER: Final = 100
"""Chunks whose fragments are looked up at once: as many as mostly suffice for those that are fused."""

_SQL: Final = queries("recall")


class Meaning(Struct, frozen=True, kw_only=True):
    """A question's vector, of the model of this name. reach: of how many words its vectors can tell (ranking.trust)."""

    model: str
    vector: Floats
    reach: float = math.inf


def hits(store: Reader, near: Nearest) -> Iterator[Hit]:
    """The chunks with their fragments, best first; looked up as far as they are asked for. Raises Damaged."""
    for at in range(0, len(near.chunks), TOGETHER):
        chunks = near.chunks[at : at + TOGETHER].tolist()
        told = store.rows(_SQL["fragments_of"], {"ids": encoded(chunks)})
        fragments = dict(msgspec.convert(told, list[tuple[int, int]]))
        if len(fragments) != len(chunks):
            raise Damaged(ASTRAY)
        for chunk, score in zip(chunks, near.scores[at : at + TOGETHER].tolist(), strict=True):
            yield Hit(chunk, fragments[chunk], score)


def likeness(near: Nearest, chunks: Sequence[int]) -> list[list[float]]:
    """How far each of these chunks repeats each other: 0 up to the cosine REPEATS or where one is not near, 1 for the same.

    A cosine below that is a common subject, which is what was asked for.
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
