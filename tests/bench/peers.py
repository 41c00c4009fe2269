"""Asks bm25s and chromadb, peers of the memory, the same questions (acts; runs in an environment of its own).

Called as `python peers.py FOLDER`. The folder has job.json, and the vectors in documents.npy and questions.npy, as
tests/bench/peer_room.py wrote them. Writes peers.json: for each peer what it found for each question, and the seconds of
each search.
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
    """Ask each peer every question and write peers.json."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    answers = {"bm25s": ask_bm25s(job), "chromadb": ask_chromadb(folder, job)}
    (folder / "peers.json").write_text(json.dumps(answers), encoding="utf-8")


def ask_bm25s(job: dict[str, list[str]]) -> dict[str, object]:
    """Ask bm25s, used as its documentation shows, with its English stop words."""
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


def ask_chromadb(folder: Path, job: dict[str, list[str]]) -> dict[str, object]:
    """Ask chromadb with the same vectors, by cosine, and otherwise its defaults."""
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
