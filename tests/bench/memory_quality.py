"""How well a memory recalls, on collections with judgements, beside its parts and its peers (acts)."""

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
from tests.bench.judged import Collection, Quality, quality
from tests.bench.judged import read as read_collection
from tests.bench.samples import Row, Table

TOGETHER: Final = 32
NOTE: Final = (
    "R: share of the relevant documents among the first 5 and 10; MRR: 1 / rank of the first relevant one; nDCG over "
    "the first 10. Each recall is the library's default. chromadb searches the same vectors as the memory beside it."
)


def measured(folder: Path, sets: Sequence[Path]) -> list[Row | Table]:
    """A table for each collection, and rows that say whether fused beats what it is made of, and the peers."""
    found: list[Row | Table] = []
    for number, path in enumerate(sets):
        found += _one(folder / str(number), read_collection(path))
    return found


def _one(folder: Path, collection: Collection) -> list[Row | Table]:
    folder.mkdir(parents=True)
    ways: dict[str, Quality] = {}
    peers: dict[str, dict[str, Quality]] = {}
    for name, choice in EMBEDDERS.items():
        embedder = choice.make()
        store = Store(folder / f"{name}.db", now=lambda: time.time_ns() // 1_000)
        ids = _filled(store, collection)
        documents = _embedded(store, embedder)
        asked = embedder.vectors([question.text for question in collection.questions])
        ways.setdefault("words alone", quality(collection, _ranked(store, collection, ids, None, None)))
        ways[f"vectors alone, {name}"] = quality(
            collection, _ranked(store, collection, ids, embedder, asked, text=False)
        )
        ways[f"**fused, {name}**"] = quality(collection, _ranked(store, collection, ids, embedder, asked))
        store.close()
        peers[name] = _peers(folder / f"peers of {name}", collection, ids, documents, asked)
    for name, answers in peers.items():
        ways["bm25s"] = answers["bm25s"]
        ways[f"chromadb, {name}"] = answers["chromadb"]
    rows: list[Row | Table] = [_table(collection, ways)]
    for name, answers in peers.items():
        parts = {"words": ways["words alone"], "vectors": ways[f"vectors alone, {name}"], **answers}
        rows.append(_row(collection, name, ways[f"**fused, {name}**"], parts))
    return rows


def _filled(store: Store, collection: Collection) -> dict[int, str]:
    """Store all documents; which one each fragment is. The same text twice is one fragment: the first."""
    ids: dict[int, str] = {}
    with store.write():
        for document in collection.documents:
            ids.setdefault(add(store, "", New(text=document.text)).number, document.id)
    return ids


def _embedded(store: Store, embedder: Embedder) -> Floats:
    """Give every chunk its vector; a vector for each fragment, that of its first chunk."""
    model = vectors.register(store, embedder.name, embedder.dimension)
    while waiting := vectors.waiting(store, model, TOGETHER):
        rows = embedder.vectors([one.text for one in waiting])
        vectors.keep(store, model, [one.chunk for one in waiting], rows)
    kept = store.rows(
        "SELECT vector FROM vectors WHERE chunk IN (SELECT min(id) FROM chunks GROUP BY fragment) ORDER BY chunk"
    )
    return np.stack([np.frombuffer(bytes(row[0]), np.float32) for row in kept if isinstance(row[0], bytes)])


def _ranked(
    store: Store,
    collection: Collection,
    ids: dict[int, str],
    embedder: Embedder | None,
    asked: Floats | None,
    text: bool = True,
) -> dict[str, list[str]]:
    """What is found for each question, by the documents' ids."""
    found: dict[str, list[str]] = {}
    for at, question in enumerate(collection.questions):
        meaning = None
        if embedder is not None and asked is not None:
            meaning = Meaning(model=embedder.name, vector=asked[at], reach=embedder.reach)
        answer = recall(store, "", Question(text=question.text if text else ""), meaning)
        found[question.id] = [ids[one.fragment.number] for one in answer.found]
    return found


def _peers(
    folder: Path, collection: Collection, ids: dict[int, str], documents: Floats, asked: Floats
) -> dict[str, Quality]:
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


def _table(collection: Collection, ways: dict[str, Quality]) -> Table:
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


def _row(collection: Collection, name: str, fused: Quality, others: dict[str, Quality]) -> Row:
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
