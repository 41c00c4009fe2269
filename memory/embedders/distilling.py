"""Make the table of memory/embedders/meanings.py out of the model `minilm` (acts: writes it); for us, by `./just distil`.

Every piece of ASCII that is a word, or the end of one, goes through the model alone. What all have in common is taken away,
the directions that tell most are kept (principal components), and each is weighed by A / (A + p), p being its share of all
text, which Zipf's law gives for its place in the vocabulary: the vocabulary stands in the order of use. Another processor may
round otherwise and give a few other bits, so the test of the table compares what pieces have to do with each other.
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
"""The constant of Arora, Liang and Ma (2017), the middle of what they found to do."""

TOGETHER: Final = 340
MARKS: Final = (UNKNOWN, FIRST, LAST)


def kept(vocabulary: Sequence[str]) -> list[tuple[str, int]]:
    """The pieces of the table in the order of use, each with its number in the model's vocabulary."""
    start = vocabulary.index("the")  # before it stand marks, signs and single letters
    return [(piece, number) for number, piece in enumerate(vocabulary[start:], start) if piece.isascii()]


def encoded(encoder: Encoder, vocabulary: Sequence[str], numbers: Sequence[int]) -> Floats:
    """What the model makes of each of these pieces alone, a row each."""
    first, last = vocabulary.index(FIRST), vocabulary.index(LAST)
    texts = [(first, number, last) for number in numbers]
    return np.concatenate([encoder.vectors(texts[at : at + TOGETHER]) for at in range(0, len(texts), TOGETHER)])


def table(rows: Floats) -> tuple[Floats, NDArray[np.uint8]]:
    """Scales and packed numbers of pieces in the order of use."""
    centred = rows - rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    numbers = centred @ directions[:DIMENSION].T
    places = np.arange(1, len(rows) + 1)
    shares = 1 / places / np.sum(1 / places)
    steps = np.abs(numbers).max(axis=1) / (MIDDLE - 1)
    whole = (np.rint(numbers / steps[:, None]) + MIDDLE).astype(np.uint8)
    return (steps * A / (A + shares)).astype("<f4"), whole[:, 0::2] << 4 | whole[:, 1::2]


def distilled(model: Path) -> tuple[list[str], Floats, NDArray[np.uint8]]:
    """The table's pieces, scales and packed numbers. The marks come first and weigh nothing."""
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
