"""The embedder `grams`: vectors of the letters of words and of a table of their meanings, without a package or a model.

Letters find what words miss: other forms of a word, compounds, misspellings, variants of names. Each word that is not a
function word gives its stem and its n-grams of GRAM letters; each of those a fixed row of +1 and -1 from its hash; a text is
their weighted sum. So the cosine of two texts estimates how many weighted n-grams they share (random projection: Achlioptas,
2003; letter n-grams: Bojanowski and others, 2017). The other half of a vector, of the same length, comes from a table of
English words (memory/embedders/meanings.py); `minilm` knows more, since it reads whole sentences.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from memory.arrays import Floats, NDArray, np
from memory.embedders import meanings
from memory.words import content_terms

GRAM: Final = 4
LETTERS: Final = 512
"""The numbers of a vector that come from letters; the others come from its meaning."""

STEM: Final = 1.0
"""A stem's weight; all its n-grams together have 1."""


class Grams:
    """See memory/embedders/__init__.py for the interface."""

    name = "grams/2"
    dimension = LETTERS + meanings.DIMENSION
    reach = 6.0

    def __init__(self) -> None:
        self._meanings = meanings.Meanings()

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Return one row of length 1 for each text."""
        rows: Floats = np.hstack([np.stack([_letters(text) for text in texts]), self._meanings.vectors(texts)])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


def _letters(text: str) -> Floats:
    total = np.zeros(LETTERS, np.float32)
    for feature, weight in _features(text).items():
        total += np.float32(weight) * _row(feature)
    length = float(np.linalg.norm(total))
    if not length:
        total, length = _row("").astype(np.float32), math.sqrt(LETTERS)
    return total / np.float32(length)


def _features(text: str) -> dict[str, float]:
    """Return a text's stems and n-grams with their weights, which grow with the logarithm of their frequency."""
    counts = Counter(content_terms(text))
    found: dict[str, float] = {}
    for word, count in counts.items():
        weight = 1 + math.log(count)
        found[word] = found.get(word, 0.0) + STEM * weight
        framed = f"<{word}>"
        runs = [framed[at : at + GRAM] for at in range(max(1, len(framed) - GRAM + 1))]
        for run in runs:
            found[run] = found.get(run, 0.0) + weight / math.sqrt(len(runs))
    return found


@lru_cache(maxsize=8_192)
def _row(feature: str) -> NDArray[np.int8]:
    digest = hashlib.blake2b(feature.encode(), digest_size=LETTERS // 8).digest()
    return np.unpackbits(np.frombuffer(digest, np.uint8)).astype(np.int8) * 2 - 1
