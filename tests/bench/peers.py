"""Peers of the memory on the same input: bm25s, and chromadb with its own store (acts; runs in an environment of its own).

Called as `python peers.py FOLDER` with what `tests/bench/memory_quality.py` put there: job.json, documents.npy and
questions.npy, the vectors. Writes peers.json: for each peer what it found for each question, and seconds of each search.
"""

import json
import sys
import time
from pathlib import Path

import bm25s
import chromadb
import numpy as np

DEPTH = 10


def main(folder: Path) -> None:
    """Ask each peer every question."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    answers = {"bm25s": by_words(job), "chromadb": by_vectors(folder, job)}
    (folder / "peers.json").write_text(json.dumps(answers), encoding="utf-8")


def by_words(job: dict[str, list[str]]) -> dict[str, object]:
    """bm25s as its page says, with its English stop words."""
    index = bm25s.BM25()
    index.index(bm25s.tokenize(job["texts"], stopwords="en", show_progress=False), show_progress=False)
    found, seconds = {}, []
    depth = min(DEPTH, len(job["ids"]))
    for key, text in zip(job["question_ids"], job["questions"], strict=True):
        began = time.perf_counter()
        asked = bm25s.tokenize(text, stopwords="en", show_progress=False)
        places, scores = index.retrieve(asked, k=depth, show_progress=False)
        seconds.append(time.perf_counter() - began)
        found[key] = [job["ids"][at] for at, score in zip(places[0], scores[0], strict=True) if score > 0]
    return {"found": found, "seconds": seconds}


def by_vectors(folder: Path, job: dict[str, list[str]]) -> dict[str, object]:
    """chromadb with the same vectors, as cosines, and otherwise its defaults."""
    client = chromadb.PersistentClient(str(folder / "chroma"), chromadb.Settings(anonymized_telemetry=False))
    collection = client.create_collection("all", metadata={"hnsw:space": "cosine"}, embedding_function=None)
    vectors, asked = np.load(folder / "documents.npy"), np.load(folder / "questions.npy")
    stored = []
    for start in range(0, len(vectors), 1_000):
        part = slice(start, start + 1_000)
        began = time.perf_counter()
        collection.add(ids=job["ids"][part], embeddings=vectors[part], documents=job["texts"][part])
        stored.append(time.perf_counter() - began)
    found, seconds = {}, []
    for key, vector in zip(job["question_ids"], asked, strict=True):
        began = time.perf_counter()
        answer = collection.query(query_embeddings=vector[None], n_results=min(DEPTH, len(vectors)))
        seconds.append(time.perf_counter() - began)
        found[key] = answer["ids"][0]
    single = []
    for number in range(50):
        began = time.perf_counter()
        collection.add(ids=[f"more {number}"], embeddings=vectors[:1], documents=[f"more {number}"])
        single.append(time.perf_counter() - began)
    return {"found": found, "seconds": seconds, "stored": single}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
