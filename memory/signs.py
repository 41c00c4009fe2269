"""Blocks of vectors' signs: packed bits, all of which can be compared in milliseconds (pure, and without numpy).

A vector's signs approximate the order of cosines well enough to choose a few hundred candidates, at a 32nd of the size
(Charikar, 2002); the exact vectors then decide (memory/vectors.py). A block has the signs of up to BLOCK chunks in a row.
"""

from array import array
from typing import Final

from msgspec import Struct

BLOCK: Final = 1_024
"""The number of consecutive chunk ids in one block."""


class Block(Struct, frozen=True):
    """A block. chunks: ids % BLOCK as 16-bit integers; signs: a piece of equal size for each."""

    chunks: bytes = b""
    signs: bytes = b""


def size(dimension: int) -> int:
    """Return the bytes of one vector's signs: whole words of 64 bits."""
    return (dimension + 63) // 64 * 8


def add(block: Block, chunk: int, signs: bytes) -> Block:
    """Return the block with the signs of a chunk that it did not have."""
    return Block(block.chunks + array("H", [chunk % BLOCK]).tobytes(), block.signs + signs)


def remove(block: Block, chunk: int, width: int) -> Block:
    """Return the block without a chunk's signs; unchanged if it has none. width: bytes of one vector's signs."""
    chunks = array("H", block.chunks)
    if chunk % BLOCK not in chunks:
        return block
    at = chunks.index(chunk % BLOCK)
    del chunks[at]
    return Block(chunks.tobytes(), block.signs[: at * width] + block.signs[(at + 1) * width :])
