"""Reading, writing and removal of blocks of signs in a Store (acts; without numpy)."""

from collections.abc import Iterable
from typing import Final

import msgspec

from memory import signs
from memory.queries import queries
from memory.signs import BLOCK, Block
from memory.store import Bindings, Reader, Store

_SQL: Final = queries("vectors")


def read(store: Reader, model: int, number: int) -> Block:
    """Return a block, an empty one if there is none."""
    rows = store.rows(_SQL["block"], {"model": model, "block": number})
    return Block(*msgspec.convert(rows[0], tuple[bytes, bytes])) if rows else Block()


def write(store: Store, model: int, number: int, block: Block) -> None:
    """Store a block; delete its row if it is empty."""
    if block.chunks:
        values: Bindings = {"model": model, "block": number, "chunks": block.chunks, "signs": block.signs}
        store.rows(_SQL["put_block"], values)
    else:
        store.rows(_SQL["drop_block"], {"model": model, "block": number})


def remove_chunks(store: Store, model: int, dimension: int, chunks: Iterable[int]) -> None:
    """Remove chunks, whose vectors were removed, from a model's blocks."""
    changed: dict[int, Block] = {}
    for chunk in chunks:
        number = chunk // BLOCK
        block = changed[number] if number in changed else read(store, model, number)
        changed[number] = signs.remove(block, chunk, signs.size(dimension))
    for number, block in changed.items():
        write(store, model, number, block)


def drop(store: Store, chunk: int) -> None:
    """Remove a chunk's vectors of every model, and take it out of the queue for vectors."""
    for model, dimension in msgspec.convert(store.rows(_SQL["models_of"], {"chunk": chunk}), list[tuple[int, int]]):
        remove_chunks(store, model, dimension, [chunk])
    store.rows(_SQL["drop"], {"chunk": chunk})
    store.rows(_SQL["drop_waiting"], {"chunk": chunk})
