"""Vectors of chunks: kept as they come from an embedder, and searched for the nearest (acts on a Store).

A model is registered by its name and version; from then on every chunk waits for its vector (`register`). Whoever embeds
takes waiting texts (`waiting`), makes their vectors outside any transaction, and brings them (`keep`): in this process with
an embedder of memory/embedders, or through a service that answers later. What was forgotten or changed meanwhile is passed
over. Vectors of different models lie apart, and a question's vector meets those of its own model alone.

The nearest are found in two steps: all of a space's signs choose candidates by Hamming distance (memory/signs.py), and
the candidates' exact vectors give the cosines. Up to CANDIDATES vectors that is exact.
"""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory import blocks, signs
from memory.arrays import Floats, NDArray, Numbers, np
from memory.errors import ASTRAY, Absent, Conflict, Damaged, Invalid
from memory.filters import encoded
from memory.queries import queries
from memory.signs import BLOCK, Block
from memory.spaces import Space
from memory.store import Bindings, Reader, Row, Store, sqlite_errors

CANDIDATES: Final = 256
DIMENSION_MAX: Final = 4_096
TOGETHER: Final = 16
"""Blocks whose counts are added up at once: of larger pieces, memory is taken from the system anew each time."""

SAMPLED: Final = 16
"""Of how many distances one is looked at, to guess a bound to the closest."""

TOLERANCE: Final = 1e-3
"""By how much the length of a vector that was kept may differ from 1."""

STRANGE: Final = "a vector is none that was kept: `maniple memory verify` says what else"
_SQL: Final = queries("vectors")


class Model(Struct, frozen=True, kw_only=True):
    """A registered model."""

    id: int
    name: str
    dimension: int
    current: bool


class Waiting(Struct, frozen=True, kw_only=True):
    """A chunk that has no vector yet. labels: of the text that it is of."""

    chunk: int
    text: str
    labels: tuple[str, ...]


class Nearest(Struct, frozen=True, kw_only=True):
    """The chunks near a question, best first: each with its cosine, and which row of `vectors` is its own."""

    chunks: Numbers
    scores: Floats
    rows: Numbers
    vectors: Floats


def register(store: Store, name: str, dimension: int) -> Model:
    """Make this the model that texts wait for; those that have its vectors already wait no more. Raises Invalid, Conflict."""
    if not name or len(name) > 200 or not 0 < dimension <= DIMENSION_MAX:
        raise Invalid(f"a model has a name, and 1 to {DIMENSION_MAX} dimensions")
    with store.write():
        found = registered(store, name)
        if found is None:
            store.rows(_SQL["make_model"], {"name": name, "dimension": dimension})
        elif found.dimension != dimension and not store.rows(
            _SQL["redimension"], {"id": found.id, "dimension": dimension}
        ):
            mend = "`maniple memory reindex` makes all its vectors anew"
            raise Conflict(f"{name} has {found.dimension} dimensions here, not {dimension}: {mend}")
        elif found.current and found.dimension == dimension:
            return found
        store.rows(_SQL["make_current"], {"name": name})
        model = registered(store, name)
        assert model is not None
        store.rows(_SQL["await_all"], {"model": model.id})
        return model


def registered(store: Reader, name: str) -> Model | None:
    """The model of this name."""
    rows = store.rows(_SQL["model"], {"name": name})
    if not rows:
        return None
    number, dimension, current = msgspec.convert(rows[0], tuple[int, int, int])
    return Model(id=number, name=name, dimension=dimension, current=bool(current))


def waiting(store: Reader, model: Model, most: int, but: Collection[int] = ()) -> list[Waiting]:
    """Some chunks that wait, newest first; but: those that are passed over."""
    return _read(store, store.rows(_SQL["next"], {"model": model.id, "most": most, "but": encoded(sorted(but))}))


def still(store: Reader, model: Model, texts: Sequence[Waiting]) -> list[bool]:
    """Which of these wait still with the same text. After an erasure or a restore another one may have a chunk's number."""
    rows = store.rows(_SQL["still"], {"model": model.id, "ids": encoded([one.chunk for one in texts])})
    found = {one.chunk: one.text for one in _read(store, rows)}
    return [found.get(one.chunk) == one.text for one in texts]


def keep(store: Store, model: Model, chunks: Sequence[int], vectors: Floats) -> int:
    """Keep the vectors of chunks that waited, one row each; how many still did. Raises Invalid: then none is kept."""
    rows = checked(model, vectors)
    if len(rows) != len(chunks):
        raise Invalid(f"{len(chunks)} texts have {len(rows)} vectors")
    bits = packed(rows)
    changed: dict[int, Block] = {}
    kept = 0
    with store.write():
        for chunk, row, sign in zip(chunks, rows, bits, strict=True):
            if not store.rows(_SQL["arrive"], {"model": model.id, "chunk": chunk}):
                continue
            store.rows(_SQL["insert"], {"model": model.id, "chunk": chunk, "vector": row.tobytes()})
            number = chunk // BLOCK
            block = changed.get(number) or blocks.read(store, model.id, number)
            changed[number] = signs.added(block, chunk, sign.tobytes())
            kept += 1
        for number, block in changed.items():
            blocks.write(store, model.id, number, block)
    return kept


def has_others(store: Reader) -> bool:
    """Whether there are models no longer current."""
    return bool(store.rows(_SQL["others"]))


def discard(store: Store, most: int) -> bool:
    """Remove some vectors of models no longer current; whether any are left. For when that one is complete, or lacks room.

    Those that stay can be searched: their model may be made current again before all are gone.
    """
    with store.write():
        for model, dimension in msgspec.convert(store.rows(_SQL["others"]), list[tuple[int, int]]):
            gone = store.rows(_SQL["drop_model_vectors"], {"model": model, "most": most})
            blocks.take_out(store, model, dimension, (chunk for (chunk,) in msgspec.convert(gone, list[tuple[int]])))
            store.rows(_SQL["drop_model_blocks"], {"model": model})
            store.rows(_SQL["drop_model"], {"model": model})
        return has_others(store)


def nearest(store: Reader, place: Space, name: str, vector: Floats, passing: Numbers | None) -> Nearest:
    """The space's chunks by their cosines with a question's vector, best first, CANDIDATES at most.

    Raises Absent for a model that is not registered, Invalid for what is no vector of it, and Damaged.
    """
    model = registered(store, name)
    if model is None:
        raise Absent(f"no model is called {name!r} here: register it first")
    (asked,) = checked(model, vector.reshape(1, -1))
    distances, places = _distances(store, place, model, packed(asked.reshape(1, -1))[0])
    if passing is None:
        chunks = _chunks(places, closest(distances, CANDIDATES))
    else:
        chunks = _chunks(places, np.arange(len(distances)))
        allowed = np.isin(chunks, passing)
        chunks = chunks[allowed][closest(distances[allowed], CANDIDATES)]
    rows = store.rows(_SQL["exact"], {"model": model.id, "ids": encoded(chunks.tolist())})
    stored = [row[1] for row in rows if isinstance(row[1], bytes) and len(row[1]) == 4 * model.dimension]
    if len(stored) != len(rows):
        raise Damaged(STRANGE)
    exact = np.frombuffer(b"".join(stored), np.float32).reshape(len(rows), model.dimension)
    if not are_unit(exact).all():
        raise Damaged(STRANGE)
    scores = exact @ asked
    kept = np.array(msgspec.convert([row[0] for row in rows], list[int]), np.int64)
    order = np.lexsort((-kept, -scores))
    return Nearest(chunks=kept[order], scores=scores[order], rows=order, vectors=exact)


def closest(distances: NDArray[np.uint16], most: int) -> Numbers:
    """The places of the smallest distances, `most` of them; of those that are equally far the last ones. In their order.

    Some of the distances tell about how far those are, so that few others are looked at; where they tell it wrongly, all are.
    """
    if len(distances) <= most:
        return np.arange(len(distances))
    some = distances[::SAMPLED]
    within = np.flatnonzero(distances <= _at_rank(some, min(len(some), 1 + 2 * most // SAMPLED)))
    if len(within) < most:
        within = np.arange(len(distances))
    left = distances[within]
    farthest = _at_rank(left, most)
    closer, alike = np.flatnonzero(left < farthest), np.flatnonzero(left == farthest)
    chosen: Numbers = np.sort(within[np.concatenate([closer, alike[len(alike) + len(closer) - most :]])])
    return chosen


def checked(model: Model, vectors: Floats) -> Floats:
    """Vectors of the model's dimension, finite and not zero, scaled to length 1. Raises Invalid."""
    if vectors.ndim != 2 or vectors.shape[1] != model.dimension:
        raise Invalid(f"a vector of {model.name} has {model.dimension} numbers, not {vectors.shape[-1]}")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise Invalid("a vector is of finite numbers, and not all zero")
    rows: Floats = (vectors / lengths).astype("<f4")
    return rows


def are_unit(vectors: Floats) -> NDArray[np.bool_]:
    """Of each row whether it is of length 1, as all are that were kept."""
    with np.errstate(over="ignore", invalid="ignore"):  # of what a disk has made of them
        found: NDArray[np.bool_] = abs(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) - 1) <= TOLERANCE
    return found


def packed(vectors: Floats) -> NDArray[np.uint8]:
    """Each vector's signs, a bit each."""
    width = signs.size(vectors.shape[1])
    packed = np.zeros((len(vectors), width), np.uint8)
    bits = np.packbits(vectors > 0, axis=1)
    packed[:, : bits.shape[1]] = bits
    return packed


def _read(store: Reader, rows: Sequence[Row]) -> list[Waiting]:
    spans = msgspec.convert(rows, list[tuple[int, int, int, int]])
    texts = {row: _text(store, row) for row in {row for _, row, _, _ in spans}}
    return [
        Waiting(chunk=chunk, text=texts[row][0][start:finish], labels=texts[row][1])
        for chunk, row, start, finish in spans
    ]


def _text(store: Reader, row: int) -> tuple[str, tuple[str, ...]]:
    rows = store.rows(_SQL["text"], {"id": row})
    if not rows:
        raise Damaged(ASTRAY)
    return str(rows[0][0]), msgspec.json.decode(str(rows[0][1]), type=tuple[str, ...])


def _distances(
    store: Reader, place: Space, model: Model, asked: NDArray[np.uint8]
) -> tuple[NDArray[np.uint16], list[tuple[int, bytes]]]:
    """Of all chunks of the space that have a vector how many signs differ from the question's, and their blocks in order."""
    words = asked.view(np.uint64)
    same = words  # as often as a block has signs: to compare in one piece is some times quicker than row by row
    places: list[tuple[int, bytes]] = []
    counts: list[NDArray[np.uint8]] = []
    distances: list[NDArray[np.uint16]] = []
    bounds: Bindings = {"model": model.id, "first": place.first // BLOCK, "last": place.last // BLOCK}
    with sqlite_errors():
        for number, chunks, packed_signs in store.connection.execute(_SQL["blocks"], bounds):
            # one at a time: it is all, and what is kept of it is an eighth
            if len(packed_signs) * 2 != len(chunks) * asked.nbytes:
                raise Damaged(ASTRAY)
            kept = np.frombuffer(packed_signs, np.uint64)
            if len(same) != len(kept):
                same = np.tile(words, len(kept) // len(words))
            counts.append(np.bitwise_count(kept ^ same))
            places.append((number, chunks))
            if len(counts) == TOGETHER:
                distances.append(_added(counts, len(words)))
                counts.clear()
    return np.concatenate([*distances, _added(counts, len(words))]), places


def _added(counts: Sequence[NDArray[np.uint8]], width: int) -> NDArray[np.uint16]:
    """The sum of each `width` counts."""
    counted = np.concatenate([np.empty(0, np.uint8), *counts]).reshape(-1, width)
    # turned first: adding rows is some times quicker than adding within them
    total: NDArray[np.uint16] = np.ascontiguousarray(counted.T).sum(axis=0, dtype=np.uint16)
    return total


def _at_rank(distances: NDArray[np.uint16], rank: int) -> int:
    """The distance that `rank` of these do not exceed, and no more but for those that are equally far."""
    return int(np.partition(distances, rank - 1)[rank - 1])


def _chunks(places: Sequence[tuple[int, bytes]], at: Numbers) -> Numbers:
    """The chunks that stand at some places of these blocks, one block behind the other."""
    within = np.frombuffer(b"".join(chunks for _, chunks in places), np.uint16)
    ends = np.cumsum([len(chunks) // within.itemsize for _, chunks in places])
    numbers = np.array([number for number, _ in places], np.int64)
    return numbers[np.searchsorted(ends, at, side="right")] * BLOCK + within[at]
