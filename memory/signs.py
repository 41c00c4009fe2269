"""Blocks of vectors' signs: packed bits that all can be compared with in milliseconds (pure, and without numpy).

A vector's signs keep the order of cosines well enough to choose a few hundred candidates, at a 32nd of the size (Charikar,
2002); the exact vectors then decide (memory/vectors.py). A block holds up to BLOCK chunks' signs, one behind the other.
"""

from array import array
from typing import Final

from msgspec import Struct

BLOCK: Final = 1_024
"""Chunks whose ids lie within one block."""


class Block(Struct, frozen=True):
    """chunks: ids % BLOCK as 16-bit numbers; signs: one piece of equal size for each."""

    chunks: bytes = b""
    signs: bytes = b""


def size(dimension: int) -> int:
    """Bytes of one vector's signs: whole words of 64 bits."""
    return (dimension + 63) // 64 * 8


def added(block: Block, chunk: int, signs: bytes) -> Block:
    """The block with a chunk's signs, which it did not have."""
    return Block(block.chunks + array("H", [chunk % BLOCK]).tobytes(), block.signs + signs)


def removed(block: Block, chunk: int, width: int) -> Block:
    """The block without a chunk's signs; as it is where it has none."""
    chunks = array("H", block.chunks)
    if chunk % BLOCK not in chunks:
        return block
    at = chunks.index(chunk % BLOCK)
    del chunks[at]
    return Block(chunks.tobytes(), block.signs[: at * width] + block.signs[(at + 1) * width :])
