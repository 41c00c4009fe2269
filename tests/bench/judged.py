"""Reads collections of documents, questions and judgements, and scores rankings of the documents (acts: reads files)."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

import msgspec
from msgspec import Struct

HERE: Final = Path(__file__).parent
OWN: Final = (HERE / "cranfield", HERE / "talk")
DEPTH: Final = 10


class Document(Struct, frozen=True):
    """A line of documents.jsonl or queries.jsonl; other keys are ignored."""

    id: str
    text: str


class Collection(Struct, frozen=True, kw_only=True):
    """A collection. judged: for each question the grades of documents; 1 and above is relevant."""

    name: str
    documents: tuple[Document, ...]
    questions: tuple[Document, ...]
    judged: Mapping[str, Mapping[str, int]]


class Quality(Struct, frozen=True, kw_only=True):
    """Scores of a ranking, each a mean over all questions that have a relevant document."""

    recall5: float
    recall10: float
    mrr: float
    ndcg10: float


def read_collection(folder: Path) -> Collection:
    """Read the collection in a folder; documents without a text, which no search could find, are left out."""
    documents, questions = (
        tuple(msgspec.json.decode(line, type=Document) for line in (folder / name).read_bytes().splitlines())
        for name in ("documents.jsonl", "queries.jsonl")
    )
    judged: dict[str, dict[str, int]] = {}
    for line in (folder / "judgements.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, document, grade = line.split("\t")
        judged.setdefault(question, {})[document] = int(grade)
    kept = tuple(document for document in documents if document.text.strip())
    return Collection(name=folder.resolve().name, documents=kept, questions=questions, judged=judged)


def quality(collection: Collection, ranked: Mapping[str, Sequence[str]]) -> Quality:
    """Score these rankings, the first DEPTH documents of each. nDCG: gain 2 ** grade - 1, discount log2 of rank + 1."""
    rows = [
        _score_one({key: grade for key, grade in grades.items() if grade > 0}, ranked[question])
        for question, grades in collection.judged.items()
        if any(grade > 0 for grade in grades.values()) and question in ranked
    ]
    means = [fmean(column) for column in zip(*rows, strict=True)]
    return Quality(recall5=means[0], recall10=means[1], mrr=means[2], ndcg10=means[3])


def _score_one(relevant: Mapping[str, int], ranked: Sequence[str]) -> tuple[float, float, float, float]:
    """The scores of one question's ranking, in the order of Quality's fields. relevant: grades by document."""
    top = ranked[:DEPTH]
    gained = sum((2 ** relevant.get(document, 0) - 1) / math.log2(at + 2) for at, document in enumerate(top))
    best = sorted(relevant.values(), reverse=True)[:DEPTH]
    ideal = sum((2**grade - 1) / math.log2(at + 2) for at, grade in enumerate(best))
    reciprocal_rank = next((1 / (at + 1) for at, document in enumerate(top) if document in relevant), 0.0)
    return (
        len(relevant.keys() & set(top[:5])) / len(relevant),
        len(relevant.keys() & set(top)) / len(relevant),
        reciprocal_rank,
        gained / ideal,
    )
