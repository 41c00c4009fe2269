"""Verification and repair of the indexes of fragments (acts on a Store).

Rows are the truth: fragments, and their vectors. The index of words, the counts of a space, the blocks of signs and the
queue for vectors can all be rebuilt from rows, so a fault in them loses nothing. One query of sql/checking.sql finds each
kind of fault, except those found by one pass through the index of words.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct

from memory import blocks, signs, spaces
from memory.arrays import np
from memory.errors import Damaged
from memory.indexing import index, unindex
from memory.queries import queries
from memory.signs import BLOCK, Block
from memory.spaces import Space
from memory.store import Reader, Store, sqlite_errors
from memory.vectors import are_unit, pack_signs

_SQL: Final = queries("checking")
_AT_ONCE: Final = 1_000
_PLACES_AT_ONCE: Final = 1 << 20


class Fault(Struct, frozen=True, kw_only=True):
    """One kind of fault: what is wrong, and the ids of the rows. mendable: whether `mend` repairs it."""

    what: str
    rows: tuple[int, ...] = ()
    mendable: bool = True


_FAULTS: Final = {
    "unchunked": "live fragments that no index has",
    "chunked_in_vain": "fragments in the indexes that are not live, or are no more",
    "misplaced": "fragments that the index has in another space",
    "miscounted": "fragments of whose words the index has another number",
    "words_of_none": "words in the index that are no chunk's",
    "miscounted_spaces": "spaces whose counts are not those of their chunks",
    "spaces_behind": "spaces that would give a number again",
    "malformed": "vectors whose length is not their model's",
    "odd": "vectors that are not of length 1",
    "far_blocks": "blocks of signs that no chunk can lie in",
    "neither_embedded_nor_waiting": "chunks that have no vector and wait for none",
    "vectors_of_none": "vectors that are no chunk's",
}


def verify(store: Store) -> tuple[Fault, ...]:
    """Return all faults, () if there are none. Reads the whole file."""
    faults: list[Fault] = []
    try:
        told = [str(row[0]) for row in store.rows(_SQL["structure"])]
        faults += [Fault(what=f"the file: {line}", mendable=False) for line in told if line != "ok"]
        store.rows(_SQL["index_structure"])
        places = _places(store)
        for name, what in _FAULTS.items():
            if rows := _odd(store) if name == "odd" else places[name] if name in places else _ids(store, name):
                faults.append(Fault(what=what, rows=rows))
        is_whole = not any(fault.what in (_FAULTS["malformed"], _FAULTS["far_blocks"]) for fault in faults)
        if is_whole and (wrong := tuple(sorted({number for _, number, _ in _wrong_blocks(store)}))):
            faults.append(Fault(what="blocks of signs that are not those of their vectors", rows=wrong))
    except Damaged as error:
        faults.append(Fault(what=str(error), mendable=False))
    return tuple(faults)


def mend(store: Store) -> tuple[Fault, ...]:
    """Make the indexes agree with the rows, in one transaction. Returns the faults that were found."""
    with store.write():
        faults = verify(store)
        if not faults:
            return ()
        found = {row for name in ("unchunked", "chunked_in_vain", "misplaced") for row in _ids(store, name)}
        for fragment in sorted({*found, *_places(store)["miscounted"]}):
            _reindex(store, fragment)
        for chunk in _places(store)["words_of_none"]:
            store.rows(_SQL["drop_words"], {"id": chunk})
        store.rows(_SQL["drop_malformed"])
        store.rows(_SQL["drop_far_blocks"])
        for chunk in {*_odd(store), *_ids(store, "vectors_of_none")}:
            blocks.drop(store, chunk)
        for chunk in _ids(store, "neither_embedded_nor_waiting"):
            store.rows(_SQL["await"], {"chunk": chunk})
        for model, number, block in list(_wrong_blocks(store)):
            blocks.write(store, model, number, block)
        _recount(store)
    return faults


def reindex(store: Store) -> int:
    """Rebuild the index of words from all live fragments. Returns their number. Readers use the old index meanwhile."""
    with store.write():
        store.rows(_SQL["empty_words"])
        after = done = 0
        while rows := msgspec.convert(
            store.rows(_SQL["all_live"], {"after": after, "most": _AT_ONCE}), list[tuple[int, str, str]]
        ):
            for fragment, text, language in rows:
                place = Space(id=fragment // spaces.NUMBERS)
                unindex(store, place, fragment)
                index(store, place, fragment, text, language)
            after, done = rows[-1][0], done + len(rows)
        for fragment in _ids(store, "chunked_in_vain"):
            unindex(store, Space(id=fragment // spaces.NUMBERS), fragment)
        _recount(store)
        store.rows(_SQL["optimise"])
    return done


def _reindex(store: Store, fragment: int) -> None:
    """Remove a fragment from the indexes, and add it again if it is live."""
    place = Space(id=fragment // spaces.NUMBERS)
    unindex(store, place, fragment)
    rows = store.rows(_SQL["all_live"], {"after": fragment - 1, "most": 1})
    for row, text, language in msgspec.convert(rows, list[tuple[int, str, str]]):
        if row == fragment:
            index(store, place, fragment, text, language)


def _recount(store: Store) -> None:
    for row, fragments, chunks in msgspec.convert(store.rows(_SQL["spaces_behind"]), list[tuple[int, int, int]]):
        store.rows(_SQL["catch_up"], {"id": row, "fragments": fragments, "chunks": chunks})
    for row, indexed, terms in msgspec.convert(store.rows(_SQL["miscounted_spaces"]), list[tuple[int, int, int]]):
        store.rows(_SQL["recount"], {"id": row, "indexed": indexed, "terms": terms})


def _wrong_blocks(store: Reader) -> Iterator[tuple[int, int, Block]]:
    """Yield each block that differs from its vectors' signs, by model and number, with its correct content."""
    for model, dimension in msgspec.convert(store.rows(_SQL["models"]), list[tuple[int, int]]):
        for (number,) in msgspec.convert(store.rows(_SQL["block_numbers"], {"model": model}), list[tuple[int]]):
            rows = store.rows(_SQL["vectors_in"], {"model": model, "first": number * BLOCK})
            wanted = Block()
            for chunk, vector in msgspec.convert(rows, list[tuple[int, bytes]]):
                sign = pack_signs(np.frombuffer(vector, np.float32).reshape(1, -1)).tobytes()
                wanted = signs.add(wanted, chunk, sign)
            if _content(blocks.read(store, model, number), dimension) != _content(wanted, dimension):
                yield model, number, wanted


def _odd(store: Reader) -> tuple[int, ...]:
    """Return the chunks whose vector has its model's dimension but not length 1, which no stored vector has."""
    found: set[int] = set()
    for model, dimension in msgspec.convert(store.rows(_SQL["models"]), list[tuple[int, int]]):
        with sqlite_errors():
            cursor = store.connection.execute(_SQL["vectors_of"], {"model": model, "size": 4 * dimension})
            while rows := msgspec.convert(list(islice(cursor, _AT_ONCE)), list[tuple[int, bytes]]):
                vectors = np.frombuffer(b"".join(vector for _, vector in rows), np.float32).reshape(len(rows), -1)
                chunks = np.array([chunk for chunk, _ in rows])
                found.update(chunks[~are_unit(vectors)].tolist())
    return tuple(sorted(found))


def _places(store: Reader) -> dict[str, tuple[int, ...]]:
    """Return the faults of the index of words, by name in _FAULTS, counted in one pass through the index.

    A join would scan the counts of all chunks for each chunk.
    """
    lengths = np.array(store.rows(_SQL["lengths"]), np.int64).reshape(-1, 3)
    chunks, counted, strays = lengths[:, 0], np.zeros(len(lengths), np.int64), set[int]()
    with sqlite_errors():
        cursor = store.connection.execute(_SQL["places"])
        while (documents := np.fromiter((row[0] for row in islice(cursor, _PLACES_AT_ONCE)), np.int64)).size:
            found, times = np.unique(documents, return_counts=True)
            at = np.minimum(np.searchsorted(chunks, found), max(0, len(chunks) - 1))
            is_known = chunks[at] == found if len(chunks) else np.zeros(len(found), bool)
            counted[at[is_known]] += times[is_known]
            strays.update(found[~is_known].tolist())
    miscounted = lengths[counted != lengths[:, 2], 1].tolist()
    return {"miscounted": tuple(sorted(set(miscounted))), "words_of_none": tuple(sorted(strays))}


def _content(block: Block, dimension: int) -> dict[int, bytes] | None:
    """Return each chunk's signs; None for a block whose parts do not match."""
    width, count = signs.size(dimension), len(block.chunks) // 2
    if len(block.signs) != count * width:
        return None
    chunks = np.frombuffer(block.chunks, np.uint16).tolist()
    found = {chunk: block.signs[at * width : (at + 1) * width] for at, chunk in enumerate(chunks)}
    return found if len(found) == count else None


def _ids(store: Reader, query: str) -> tuple[int, ...]:
    return tuple(sorted({int(str(row[0])) for row in store.rows(_SQL[query])}))
