"""Measures how fast a memory is as it grows, each size in a process of its own, beside peers with the same input (acts).

The input is generated from a fixed seed: words by Zipf's law, LENGTH to a fragment, and vectors of DIMENSION numbers around
CENTRES centres. A question has up to ASKED words of a fragment, none of them among the COMMONEST.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from memory import spaces, vectors
from memory.arrays import Floats, NDArray, np
from memory.fragments import New, add
from memory.store import Store
from tests.bench import growth, peer_room
from tests.bench.memory_asking import MODEL, Timed
from tests.bench.samples import Row, Table, percentile

DIMENSION: Final = 384
WORDS: Final = 50_000
CENTRES: Final = 1_000
LENGTH: Final = 24
ASKED: Final = 6
COMMONEST: Final = 100
"""How many of the most frequent words count as function words, which a question leaves out."""

QUESTIONS: Final = 300
BATCH: Final = 1_000
PEERS_MOST: Final = 100_000
SIZES: Final = (1_000, 10_000, 100_000)
LARGE: Final = 1_000_000


def measure(folder: Path, sizes: tuple[int, ...]) -> list[Row | Table]:
    """Measure each size: a table of all, and rows for the sizes that have limits."""
    lines: list[tuple[str, ...]] = []
    rows: list[Row | Table] = []
    for size in sizes:
        place = folder / str(size)
        place.mkdir(parents=True)
        built = _fill(place, size)
        timed = _time_asking(place)
        peers = _ask_peers(place, size) if size <= PEERS_MOST else {}
        lines.append(_make_line(place, size, built, timed, peers))
        rows += _make_rows(size, timed)
        for path in place.glob("memory.db*"):
            path.unlink()
    columns = ("fragments", "fused p50", "p95", "words p95", "store p95", "own memory", "mapped", "file", "filled at")
    peers_columns = ("chromadb query p95", "its store p95", "bm25s query p95")
    note = (
        "Milliseconds, and megabytes of the asking process. Filling is by a thousand fragments to a transaction, storing by "
        "one, which is on the disk. chromadb has the same vectors in a store of its own, bm25s the same texts in memory."
    )
    table = Table(title=growth.TITLE, columns=columns + peers_columns, lines=tuple(lines), note=note)
    return [table, *rows]


class Generator:
    """Generates what is stored, the same each time."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(7)
        share = 1 / np.arange(1, WORDS + 1) ** 1.07
        self.shares = np.cumsum(share / share.sum())
        self.centres = self.random.standard_normal((CENTRES, DIMENSION), dtype=np.float32)

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """Words and vectors of `size` fragments, BATCH at a time."""
        for _ in range(0, size, BATCH):
            words = np.searchsorted(self.shares, self.random.random((BATCH, LENGTH)))
            near = self.centres[self.random.integers(0, CENTRES, BATCH)]
            yield words, near + 0.7 * self.random.standard_normal((BATCH, DIMENSION), dtype=np.float32)


def _fill(folder: Path, size: int) -> float:
    """Store `size` fragments and write the questions, and for the peers the texts and vectors; fragments per second."""
    generator = Generator()
    store = Store(folder / "memory.db", now=lambda: time.time_ns() // 1_000)
    model = vectors.register(store, MODEL, DIMENSION)
    texts: list[str] = []
    kept: list[Floats] = []
    asked: list[tuple[str, Floats]] = []
    began = time.perf_counter()
    for words, rows in generator.batches(size):
        batch = [" ".join(f"w{word}" for word in line) + f" n{len(texts) + at}" for at, line in enumerate(words)]
        with store.write():
            numbers = [add(store, "", New(text=text)).number for text in batch]
            place = spaces.find(store, "")
            vectors.keep(store, model, [place.first + number for number in numbers], rows)
        for at in generator.random.choice(BATCH, max(1, QUESTIONS * BATCH // size), replace=False):
            telling = words[at][words[at] >= COMMONEST]
            chosen_words = generator.random.choice(telling, min(ASKED, len(telling)), replace=False)
            noise = 0.5 * generator.random.standard_normal(DIMENSION, dtype=np.float32)
            asked.append((" ".join(f"w{word}" for word in chosen_words), rows[at] + noise))
        if size <= PEERS_MOST:
            texts += batch
            kept.append(rows)
    seconds = time.perf_counter() - began
    store.close()
    chosen = [asked[int(at)] for at in np.linspace(0, len(asked) - 1, min(QUESTIONS, len(asked)))]
    np.savez(folder / "questions.npz", texts=[text for text, _ in chosen], vectors=np.stack([row for _, row in chosen]))
    if kept:
        np.save(folder / "documents.npy", np.concatenate(kept))
        (folder / "texts.json").write_bytes(msgspec.json.encode(texts))
    return size / seconds


def _time_asking(folder: Path) -> Timed:
    """Run tests/bench/memory_asking.py on the folder's memory and questions."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.memory_asking",
        str(folder / "memory.db"),
        str(folder / "questions.npz"),
    ]
    return msgspec.json.decode(subprocess.run(command, check=True, capture_output=True).stdout, type=Timed)


def _ask_peers(folder: Path, size: int) -> dict[str, peer_room.Answers]:
    """Ask each peer the folder's questions."""
    texts = msgspec.json.decode((folder / "texts.json").read_bytes(), type=list[str])
    with np.load(folder / "questions.npz") as told:
        questions = {str(at): str(text) for at, text in enumerate(told["texts"])}
        asked = told["vectors"].astype(np.float32)
    ids = [str(at) for at in range(size)]
    return peer_room.ask(folder / "peers", ids, texts[:size], np.load(folder / "documents.npy"), questions, asked)


def _make_line(
    folder: Path, size: int, built: float, timed: Timed, peers: dict[str, peer_room.Answers]
) -> tuple[str, ...]:
    ours = [percentile(timed.fused, 0.5), *(percentile(one, 0.95) for one in (timed.fused, timed.words, timed.stored))]
    told = [f"{value:.1f}" for value in ours]
    file = (folder / "memory.db").stat().st_size / 1e6
    theirs = ["", "", ""]
    if peers:
        chroma, bm25s = peers["chromadb"], peers["bm25s"]
        samples = (chroma.seconds, chroma.stored, bm25s.seconds)
        theirs = [f"{percentile(one, 0.95) * 1_000:.1f}" for one in samples]
    sizes = [f"{timed.own:.0f} MB", f"{timed.mapped:.0f} MB", f"{file:,.0f} MB", f"{built:,.0f} /s"]
    return (f"{size:,}", *told, *sizes, *theirs)


def _make_rows(size: int, timed: Timed) -> list[Row]:
    limits = {100_000: (15.0, 5.0), LARGE: (150.0, 5.0)}
    if size not in limits:
        return []
    recall, store = limits[size]
    told = f"at {size:,} fragments"
    return [
        _make_row(f"memory-recall-{size}", f"fused recall {told}, p95", "ms", percentile(timed.fused, 0.95), recall),
        _make_row(f"memory-store-{size}", f"durable store {told}, p95", "ms", percentile(timed.stored, 0.95), store),
        _make_row(
            f"memory-own-{size}",
            f"memory of the process that recalls {told}, but for mapped files",
            "MB",
            timed.own,
            150,
        ),
    ]


def _make_row(name: str, what: str, unit: str, value: float, limit: float) -> Row:
    return Row(name=name, what=what, unit=unit, ours=(value,), judged="median", limit=limit)
