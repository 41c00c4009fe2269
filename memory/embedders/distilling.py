"""Makes the table of memory/embedders/meanings.py from the model `minilm` (acts: writes it); run by `./just distil`.

Every ASCII piece that is a word, or the end of one, goes through the model alone. The mean of all is subtracted, the first
principal components are kept, and each piece is weighted by A / (A + p), where p is its share of all text, by Zipf's law
from its rank in the vocabulary, which is sorted by frequency. Another processor may round differently and give a few other
bits, so the table's test compares relations between pieces.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from memory.arrays import Floats, NDArray, np
from memory.embedders import installed
from memory.embedders.meanings import DIMENSION, MIDDLE, PIECES, TABLE
from memory.embedders.minilm import HEADS, mapped
from memory.embedders.transformer import Encoder
from memory.embedders.wordpiece import FIRST, LAST, UNKNOWN

A: Final = 1e-3
"""The constant of Arora, Liang and Ma (2017), in the middle of the range that they found to work."""

TOGETHER: Final = 340
MARKS: Final = (UNKNOWN, FIRST, LAST)


def kept(vocabulary: Sequence[str]) -> list[tuple[str, int]]:
    """Return the pieces of the table, most frequent first, each with its number in the model's vocabulary."""
    start = vocabulary.index("the")  # marks, signs and single letters come before it
    return [(piece, number) for number, piece in enumerate(vocabulary[start:], start) if piece.isascii()]


def encoded(encoder: Encoder, vocabulary: Sequence[str], numbers: Sequence[int]) -> Floats:
    """Return the model's vectors of these pieces, each alone, a row each."""
    first, last = vocabulary.index(FIRST), vocabulary.index(LAST)
    texts = [(first, number, last) for number in numbers]
    return np.concatenate([encoder.vectors(texts[at : at + TOGETHER]) for at in range(0, len(texts), TOGETHER)])


def table(rows: Floats) -> tuple[Floats, NDArray[np.uint8]]:
    """Return scales and packed numbers of pieces. rows: their vectors, most frequent first."""
    centred = rows - rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    numbers = centred @ directions[:DIMENSION].T
    places = np.arange(1, len(rows) + 1)
    shares = 1 / places / np.sum(1 / places)
    steps = np.abs(numbers).max(axis=1) / (MIDDLE - 1)
    whole = (np.rint(numbers / steps[:, None]) + MIDDLE).astype(np.uint8)
    return (steps * A / (A + shares)).astype("<f4"), whole[:, 0::2] << 4 | whole[:, 1::2]


def distilled(model: Path) -> tuple[list[str], Floats, NDArray[np.uint8]]:
    """Return the table's pieces, scales and packed numbers. The marks come first, with weight 0."""
    vocabulary = (model / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    pieces = kept(vocabulary)
    rows = encoded(Encoder(mapped(model / "model.safetensors"), HEADS), vocabulary, [number for _, number in pieces])
    scales, packed = table(rows)
    none = np.full((len(MARKS), DIMENSION // 2), MIDDLE << 4 | MIDDLE, np.uint8)
    return (
        [*MARKS, *(piece for piece, _ in pieces)],
        np.concatenate([np.zeros(len(MARKS), "<f4"), scales]),
        np.concatenate([none, packed]),
    )


def main() -> None:
    """Write both files."""
    model = installed.folder()
    if model is None:
        sys.exit(f"The package {installed.PACKAGE} is not installed; ./just installs it.")
    pieces, scales, packed = distilled(model)
    PIECES.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    TABLE.write_bytes(scales.tobytes() + packed.tobytes())


if __name__ == "__main__":
    main()
