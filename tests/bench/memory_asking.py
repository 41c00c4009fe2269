"""A program that opens a filled memory file, recalls and stores, and prints how long each took (acts)."""

import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from memory.arrays import np
from memory.fragments import New, add
from memory.nearness import Meaning
from memory.recall import Question, recall
from memory.store import Store

MODEL = "synthetic/1"


class Timed(Struct, frozen=True, kw_only=True):
    """What the program prints, as JSON.

    fused, words, stored: milliseconds of each recall by words and vectors, each recall by words alone, and each store;
    own, mapped: megabytes of this process's memory that are its own, and that map files.
    """

    fused: tuple[float, ...]
    words: tuple[float, ...]
    stored: tuple[float, ...]
    own: float
    mapped: float


def main(path: Path, questions: Path) -> None:
    """Ask every question and store as many fragments. questions: an .npz file with the text and vector of each."""
    store = Store(path, now=lambda: time.time_ns() // 1_000)
    with np.load(questions) as told:
        texts, asked = [str(text) for text in told["texts"]], told["vectors"].astype(np.float32)
    meanings = [Meaning(model=MODEL, vector=vector) for vector in asked]
    for text, meaning in list(zip(texts, meanings, strict=True))[:20]:
        recall(store, "", Question(text=text), meaning)
    fused = [_time_recall(store, text, meaning) for text, meaning in zip(texts, meanings, strict=True)]
    words = [_time_recall(store, text, None) for text in texts]
    stored = []
    for number, text in enumerate(texts):
        began = time.perf_counter()
        add(store, "", New(text=f"{text} new {number} {time.time_ns()}"))
        stored.append((time.perf_counter() - began) * 1_000)
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own, mapped = (int(lines[name].split()[0]) / 1_024 for name in ("RssAnon", "RssFile"))
    timed = Timed(fused=tuple(fused), words=tuple(words), stored=tuple(stored), own=own, mapped=mapped)
    sys.stdout.buffer.write(msgspec.json.encode(timed))
    store.close()


def _time_recall(store: Store, text: str, meaning: Meaning | None) -> float:
    """Recall once; milliseconds."""
    began = time.perf_counter()
    recall(store, "", Question(text=text), meaning)
    return (time.perf_counter() - began) * 1_000


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
