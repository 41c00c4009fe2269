"""Measures how well a memory recalls on collections with judgements, beside words or vectors alone and peers (acts)."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from memory import vectors
from memory.arrays import Floats, np
from memory.embedders import EMBEDDERS, Embedder
from memory.fragments import New, add
from memory.nearness import Meaning
from memory.recall import Question, recall
from memory.store import Store
from tests.bench import peer_room
from tests.bench.judged import Collection, Quality, quality, read_collection
from tests.bench.samples import Row, Table

TOGETHER: Final = 32
NOTE: Final = (
    "R: share of the relevant documents among the first 5 and 10; MRR: 1 / rank of the first relevant one; nDCG over "
    "the first 10. Each recall is the library's default. chromadb searches the same vectors as the memory beside it."
)


def measure(folder: Path, sets: Sequence[Path]) -> list[Row | Table]:
    """Measure each collection: a table, and rows that say whether fused recall beats its two parts and the peers."""
    found: list[Row | Table] = []
    for number, path in enumerate(sets):
        found += _measure_one(folder / str(number), read_collection(path))
    return found


def _measure_one(folder: Path, collection: Collection) -> list[Row | Table]:
    """Measure one collection with every embedder."""
    folder.mkdir(parents=True)
    ways: dict[str, Quality] = {}
    peers: dict[str, dict[str, Quality]] = {}
    for name, choice in EMBEDDERS.items():
        embedder = choice.make()
        store = Store(folder / f"{name}.db", now=lambda: time.time_ns() // 1_000)
        ids = _fill(store, collection)
        documents = _embed(store, embedder)
        asked = embedder.vectors([question.text for question in collection.questions])
        ways.setdefault("words alone", quality(collection, _rank(store, collection, ids, None, None)))
        ways[f"vectors alone, {name}"] = quality(collection, _rank(store, collection, ids, embedder, asked, text=False))
        ways[f"**fused, {name}**"] = quality(collection, _rank(store, collection, ids, embedder, asked))
        store.close()
        peers[name] = _ask_peers(folder / f"peers of {name}", collection, ids, documents, asked)
    for name, answers in peers.items():
        ways["bm25s"] = answers["bm25s"]
        ways[f"chromadb, {name}"] = answers["chromadb"]
    rows: list[Row | Table] = [_make_table(collection, ways)]
    for name, answers in peers.items():
        parts = {"words": ways["words alone"], "vectors": ways[f"vectors alone, {name}"], **answers}
        rows.append(_make_row(collection, name, ways[f"**fused, {name}**"], parts))
    return rows


def _fill(store: Store, collection: Collection) -> dict[int, str]:
    """Store all documents; returns each fragment's document id. Of documents with the same text it is the first's."""
    ids: dict[int, str] = {}
    with store.write():
        for document in collection.documents:
            ids.setdefault(add(store, "", New(text=document.text)).number, document.id)
    return ids


def _embed(store: Store, embedder: Embedder) -> Floats:
    """Make and store the vector of every chunk; returns for each fragment the vector of its first chunk."""
    model = vectors.register(store, embedder.name, embedder.dimension)
    while waiting := vectors.waiting(store, model, TOGETHER):
        rows = embedder.vectors([one.text for one in waiting])
        vectors.keep(store, model, [one.chunk for one in waiting], rows)
    kept = store.rows(
        "SELECT vector FROM vectors WHERE chunk IN (SELECT min(id) FROM chunks GROUP BY fragment) ORDER BY chunk"
    )
    return np.stack([np.frombuffer(bytes(row[0]), np.float32) for row in kept if isinstance(row[0], bytes)])


def _rank(
    store: Store,
    collection: Collection,
    ids: dict[int, str],
    embedder: Embedder | None,
    asked: Floats | None,
    text: bool = True,
) -> dict[str, list[str]]:
    """Recall each question; for each, the ids of the documents found, best first. text: whether to search by words too."""
    found: dict[str, list[str]] = {}
    for at, question in enumerate(collection.questions):
        meaning = None
        if embedder is not None and asked is not None:
            meaning = Meaning(model=embedder.name, vector=asked[at], reach=embedder.reach)
        answer = recall(store, "", Question(text=question.text if text else ""), meaning)
        found[question.id] = [ids[one.fragment.number] for one in answer.found]
    return found


def _ask_peers(
    folder: Path, collection: Collection, ids: dict[int, str], documents: Floats, asked: Floats
) -> dict[str, Quality]:
    """The quality of each peer on the collection, by the peer's name."""
    texts = {document.id: document.text for document in collection.documents}
    kept = [ids[number] for number in sorted(ids)]
    answers = peer_room.ask(
        folder,
        kept,
        [texts[key] for key in kept],
        documents,
        {question.id: question.text for question in collection.questions},
        asked,
    )
    return {name: quality(collection, answer.found) for name, answer in answers.items()}


def _make_table(collection: Collection, ways: dict[str, Quality]) -> Table:
    lines = [
        (name, *(f"{value:.3f}" for value in (one.recall5, one.recall10, one.mrr, one.ndcg10)))
        for name, one in ways.items()
    ]
    size = f"{len(collection.documents):,} documents, {len(collection.questions)} questions"
    return Table(
        title=f"Recall on {collection.name}: {size}",
        columns=("way", "R@5", "R@10", "MRR", "nDCG@10"),
        lines=tuple(lines),
        note=NOTE,
    )


def _make_row(collection: Collection, name: str, fused: Quality, others: dict[str, Quality]) -> Row:
    best = max(others, key=lambda key: others[key].ndcg10)
    return Row(
        name=f"memory-{collection.name}-{name}",
        what=f"nDCG@10 on {collection.name}, fused with {name}, beside the best of words, vectors and peers: {best}",
        unit="",
        ours=(fused.ndcg10,),
        bare=(others[best].ndcg10,),
        judged="ratio",
        limit=1.0,
        at_least=True,
    )
