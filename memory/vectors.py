"""Vectors of chunks: storage, and search for the nearest (acts on a Store).

A model is registered by its name and version; from then on every chunk waits for its vector (`register`). The caller takes
waiting texts (`waiting`), embeds them outside any transaction, and stores their vectors (`keep`): with an embedder of
memory/embedders in this process, or through a service that answers later. Chunks that were deleted or changed meanwhile are
skipped. A question's vector is compared only with vectors of the same model.

The nearest are found in two steps: the Hamming distances of all signs in a space choose candidates (memory/signs.py), and
the candidates' exact vectors give the cosines. For up to CANDIDATES vectors the result is exact.
"""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory import blocks, signs
from memory.arrays import Floats, NDArray, Numbers, np
from memory.errors import ASTRAY, Absent, Conflict, Damaged, Invalid
from memory.filters import to_json
from memory.queries import queries
from memory.signs import BLOCK, Block
from memory.spaces import Space
from memory.store import Bindings, Reader, Row, Store, sqlite_errors

CANDIDATES: Final = 256
DIMENSION_MAX: Final = 4_096
TOGETHER: Final = 16
"""Blocks whose counts are summed at once: for larger arrays, memory would be requested from the system each time."""

SAMPLED: Final = 16
"""One distance in this many is sampled, to estimate a bound of the closest."""

TOLERANCE: Final = 1e-3
"""The most by which the length of a stored vector may differ from 1."""

STRANGE: Final = "a vector is none that was kept: `maniple memory verify` says what else"
_SQL: Final = queries("vectors")


class Model(Struct, frozen=True, kw_only=True):
    """A registered model."""

    id: int
    name: str
    dimension: int
    current: bool


class Waiting(Struct, frozen=True, kw_only=True):
    """A chunk without a vector. labels: of its fragment."""

    chunk: int
    text: str
    labels: tuple[str, ...]


class Nearest(Struct, frozen=True, kw_only=True):
    """The chunks nearest to a question, best first, each with its cosine, and the index of its row in `vectors`."""

    chunks: Numbers
    scores: Floats
    rows: Numbers
    vectors: Floats


def register(store: Store, name: str, dimension: int) -> Model:
    """Make this the current model, and queue all chunks that lack its vectors. Raises Invalid, Conflict."""
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
    """Return the model of this name, or None."""
    rows = store.rows(_SQL["model"], {"name": name})
    if not rows:
        return None
    number, dimension, current = msgspec.convert(rows[0], tuple[int, int, int])
    return Model(id=number, name=name, dimension=dimension, current=bool(current))


def waiting(store: Reader, model: Model, most: int, but: Collection[int] = ()) -> list[Waiting]:
    """Return at most `most` waiting chunks, newest first. but: chunks to skip."""
    return _read(store, store.rows(_SQL["next"], {"model": model.id, "most": most, "but": to_json(sorted(but))}))


def still_waiting(store: Reader, model: Model, texts: Sequence[Waiting]) -> list[bool]:
    """Return, for each of these, whether it still waits with the same text. An erasure or restore may reuse numbers."""
    rows = store.rows(_SQL["still_waiting"], {"model": model.id, "ids": to_json([one.chunk for one in texts])})
    found = {one.chunk: one.text for one in _read(store, rows)}
    return [found.get(one.chunk) == one.text for one in texts]


def keep(store: Store, model: Model, chunks: Sequence[int], vectors: Floats) -> int:
    """Store the vectors of waiting chunks, one row each. Returns how many still waited. Stores none if it raises Invalid."""
    rows = normalised(model, vectors)
    if len(rows) != len(chunks):
        raise Invalid(f"{len(chunks)} texts have {len(rows)} vectors")
    bits = pack_signs(rows)
    changed: dict[int, Block] = {}
    kept = 0
    with store.write():
        for chunk, row, sign in zip(chunks, rows, bits, strict=True):
            if not store.rows(_SQL["stop_waiting"], {"model": model.id, "chunk": chunk}):
                continue
            store.rows(_SQL["insert"], {"model": model.id, "chunk": chunk, "vector": row.tobytes()})
            number = chunk // BLOCK
            block = changed.get(number) or blocks.read(store, model.id, number)
            changed[number] = signs.add(block, chunk, sign.tobytes())
            kept += 1
        for number, block in changed.items():
            blocks.write(store, model.id, number, block)
    return kept


def has_others(store: Reader) -> bool:
    """Whether there are models other than the current one."""
    return bool(store.rows(_SQL["others"]))


def discard(store: Store, most: int) -> bool:
    """Remove at most `most` vectors of each model that is not current, to free space. Returns whether any are left.

    The remaining ones stay searchable: their model may become current again before all are gone.
    """
    with store.write():
        for model, dimension in msgspec.convert(store.rows(_SQL["others"]), list[tuple[int, int]]):
            gone = store.rows(_SQL["drop_model_vectors"], {"model": model, "most": most})
            blocks.remove_chunks(
                store, model, dimension, (chunk for (chunk,) in msgspec.convert(gone, list[tuple[int]]))
            )
            store.rows(_SQL["drop_model_blocks"], {"model": model})
            store.rows(_SQL["drop_model"], {"model": model})
        return has_others(store)


def nearest(store: Reader, place: Space, name: str, vector: Floats, passing: Numbers | None) -> Nearest:
    """Return at most CANDIDATES chunks of the space, sorted by their cosines with a question's vector.

    passing: the chunks to consider, None for all. Raises Absent for an unregistered model, Invalid for a vector that does
    not fit it, and Damaged.
    """
    model = registered(store, name)
    if model is None:
        raise Absent(f"no model is called {name!r} here: register it first")
    (asked,) = normalised(model, vector.reshape(1, -1))
    distances, places = _distances(store, place, model, pack_signs(asked.reshape(1, -1))[0])
    if passing is None:
        chunks = _chunks(places, closest(distances, CANDIDATES))
    else:
        chunks = _chunks(places, np.arange(len(distances)))
        allowed = np.isin(chunks, passing)
        chunks = chunks[allowed][closest(distances[allowed], CANDIDATES)]
    rows = store.rows(_SQL["exact"], {"model": model.id, "ids": to_json(chunks.tolist())})
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
    """Return the indexes of the `most` smallest distances, in ascending order; of equal distances, the last ones.

    A sample estimates their bound, so that few others are sorted; if the estimate is too low, all are.
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


def normalised(model: Model, vectors: Floats) -> Floats:
    """Return vectors scaled to length 1. Raises Invalid unless they have the model's dimension, are finite and not zero."""
    if vectors.ndim != 2 or vectors.shape[1] != model.dimension:
        raise Invalid(f"a vector of {model.name} has {model.dimension} numbers, not {vectors.shape[-1]}")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise Invalid("a vector is of finite numbers, and not all zero")
    rows: Floats = (vectors / lengths).astype("<f4")
    return rows


def are_unit(vectors: Floats) -> NDArray[np.bool_]:
    """Return, for each row, whether its length is 1, as that of all stored vectors."""
    with np.errstate(over="ignore", invalid="ignore"):  # damaged vectors may overflow
        found: NDArray[np.bool_] = abs(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) - 1) <= TOLERANCE
    return found


def pack_signs(vectors: Floats) -> NDArray[np.uint8]:
    """Return each vector's signs, as packed bits."""
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
    """Return, for all chunks of the space with a vector, the number of signs unlike the question's; and all blocks."""
    words = asked.view(np.uint64)
    same = words  # repeated to the length of a block: one comparison is several times faster than row by row
    places: list[tuple[int, bytes]] = []
    counts: list[NDArray[np.uint8]] = []
    distances: list[NDArray[np.uint16]] = []
    bounds: Bindings = {"model": model.id, "first": place.first // BLOCK, "last": place.last // BLOCK}
    with sqlite_errors():
        for number, chunks, packed_signs in store.connection.execute(_SQL["blocks"], bounds):
            # one block at a time, since all together would need eight times the memory of the counts
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
    """Return the sums of each `width` consecutive counts."""
    counted = np.concatenate([np.empty(0, np.uint8), *counts]).reshape(-1, width)
    # transposed first: summing rows is several times faster than summing within them
    total: NDArray[np.uint16] = np.ascontiguousarray(counted.T).sum(axis=0, dtype=np.uint16)
    return total


def _at_rank(distances: NDArray[np.uint16], rank: int) -> int:
    """Return the distance of this rank, counted from 1 in ascending order."""
    return int(np.partition(distances, rank - 1)[rank - 1])


def _chunks(places: Sequence[tuple[int, bytes]], at: Numbers) -> Numbers:
    """Return the ids of the chunks at these indexes into the concatenated blocks. places: number and chunks of each block."""
    within = np.frombuffer(b"".join(chunks for _, chunks in places), np.uint16)
    ends = np.cumsum([len(chunks) // within.itemsize for _, chunks in places])
    numbers = np.array([number for number, _ in places], np.int64)
    return numbers[np.searchsorted(ends, at, side="right")] * BLOCK + within[at]
