"""Meanings of word pieces, from a table in this folder (acts: maps it): the part of `grams` other than letters.

Each common piece of the vocabulary of the model `minilm` has the vector that the model gives to that piece alone, reduced
to the DIMENSION directions in which pieces differ most, four bits each: a static embedding (Tulkens and van Dongen,
*Model2Vec*, 2024). A text's meaning is the sum of its pieces', weighted by rarity (Arora, Liang and Ma, *A Simple but
Tough-to-Beat Baseline for Sentence Embeddings*, 2017). It ignores order and context: a river bank is a bank.
memory/embedders/distilling.py makes the table; both files come from all-MiniLM-L6-v2 (Apache-2.0, sentence-transformers).
"""

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from memory.arrays import Floats, NDArray, np
from memory.embedders.wordpiece import WordPiece

DIMENSION: Final = 256
TABLE: Final = Path(__file__).with_name("meanings.bin")
PIECES: Final = Path(__file__).with_name("meanings.txt")
MIDDLE: Final = 8
"""Added to a number from -7 to 7, so that two fit into a byte, the first in the upper half."""

PIECES_MAX: Final = 1_024
"""The most word pieces read of a text: more than a chunk has."""


class Meanings:
    """The table. Of each piece it has the numbers, two per byte, and a scale: the value of one step, times its weight."""

    def __init__(self) -> None:
        self._words = WordPiece(PIECES.read_text(encoding="utf-8").split("\n")[:-1])
        with TABLE.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        count = len(content) // (DIMENSION // 2 + 4)
        self._scales: Floats = np.frombuffer(content, "<f4", count)
        self._rows: NDArray[np.uint8] = np.frombuffer(content, np.uint8, offset=4 * count).reshape(count, -1)

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Return a row of length 1 for each text, of zeros for one without a piece of the table."""
        return np.stack([self._vector(self._words.numbers(text, PIECES_MAX)) for text in texts])

    def _vector(self, pieces: Sequence[int]) -> Floats:
        packed, scales = self._rows[pieces], self._scales[pieces]
        total = np.empty(DIMENSION, np.float32)
        total[0::2] = scales @ ((packed >> 4).astype(np.float32) - MIDDLE)
        total[1::2] = scales @ ((packed & 15).astype(np.float32) - MIDDLE)
        length = np.linalg.norm(total)
        return total / np.float32(length) if length else total
