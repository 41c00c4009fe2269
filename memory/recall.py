"""Recall: the fragments of a space that answer a question, and why each was found (acts: reads a Store).

Two parts look for it. Words: BM25 over the index of words, with the space's own statistics, so that no other space's content
shows in a score. Meaning: the nearest vectors (memory/vectors.py), when the caller brings the question's. Their ranks are
fused, then weighed by time and importance, and thinned of what says the same again (memory/ranking.py). Filters hold before
anything is ranked. A question is never parsed as a query language: whatever it holds, it is words.
"""

from typing import Final

import msgspec
from msgspec import Struct

from memory import ranking, spaces
from memory.errors import Invalid
from memory.filters import NONE, Filters, bindings, encoded
from memory.fragments import Fragment, fragment
from memory.indexing import term
from memory.queries import queries
from memory.ranking import Asked
from memory.spaces import Space
from memory.store import Bindings, Reader, Store
from memory.words import asked

MOST: Final = 100
DEPTH: Final = 100
"""Fragments that each part brings to the fusion."""

CHUNKS: Final = 400
"""Chunks that each part looks at for them."""

POSTINGS: Final = 8_192
SHARE: Final = 20
"""Places of its words that a question reads: POSTINGS, or in a large space one for each SHARE of its chunks."""

WORDS: Final = "words"
MEANING: Final = "meaning"
_SQL: Final = {**queries("fragments"), **queries("recall")}
_PASSING: Final = _SQL["passing"].replace("$passes", _SQL["passes"])


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked. most: results, 1 to MOST. recency, diversity: how much these count, from 0 for nothing to 1."""

    text: str
    most: int = 10
    filters: Filters = NONE
    recency: float = ranking.RECENCY
    diversity: float = ranking.DIVERSITY


class Place(Struct, frozen=True, kw_only=True):
    """A fragment's place in one part. score: of BM25, or the cosine of the vectors; start, finish: the piece of its text."""

    rank: int
    score: float
    start: int
    finish: int


class Found(Struct, frozen=True, kw_only=True):
    """A result, and why it is one. fused: by ranks alone; score: what it was taken at, after all of it."""

    fragment: Fragment
    score: float
    fused: float
    freshness: float
    words: Place | None = None
    meaning: Place | None = None


class Recalled(Struct, frozen=True, kw_only=True):
    """The answer. terms: of the words; words, meaning: fragments that each part brought; chunks: of the space."""

    found: tuple[Found, ...]
    terms: tuple[Asked, ...]
    words: int
    meaning: int
    chunks: int


class Hit(Struct, frozen=True):
    """A chunk that a part found."""

    chunk: int
    fragment: int
    score: float


def recall(store: Store | Reader, space: str, question: Question) -> Recalled:
    """What the space has to say to a question, best first. Raises Invalid."""
    _check(question)
    place = spaces.found(store, space)
    passing = _passing(store, place, question.filters)
    terms, hits = _by_words(store, place, question.text, passing)
    parts = {WORDS: _places(store, hits)}
    return Recalled(
        found=_ordered(store, parts, {WORDS: 1.0}, question),
        terms=terms,
        words=len(parts[WORDS]),
        meaning=0,
        chunks=place.indexed,
    )


def _ordered(
    store: Store | Reader, parts: dict[str, dict[int, Place]], weights: dict[str, float], question: Question
) -> tuple[Found, ...]:
    """The parts' fragments fused, weighed and thinned."""
    now = store.now()
    rows = store.rows(_SQL["candidates"], {"ids": encoded(sorted({row for part in parts.values() for row in part}))})
    found: list[tuple[float, float, float, int]] = []
    for row, time, importance in msgspec.convert(rows, list[tuple[int, int, float]]):
        ranks = {name: part[row].rank for name, part in parts.items() if row in part}
        fused, age = ranking.fused(ranks, weights), now - time
        score = ranking.weighed(fused, age=age, importance=importance, recency=question.recency)
        found.append((score, fused, ranking.freshness(age), row))
    found.sort(reverse=True)
    taken = ranking.diverse([score for score, *_ in found], lambda one, other: 0.0, question.most, question.diversity)
    return tuple(
        Found(
            fragment=_read(store, found[at][3]),
            score=score,
            fused=found[at][1],
            freshness=found[at][2],
            words=parts[WORDS].get(found[at][3]),
        )
        for at, score in taken
    )


def _by_words(
    store: Store | Reader, place: Space, text: str, passing: set[int] | None
) -> tuple[tuple[Asked, ...], list[Hit]]:
    """What was asked of the index of words, and the chunks that have it, best first."""
    most = max(POSTINGS, place.indexed // SHARE)
    wanted = dict.fromkeys(term(place, word) for group in asked(text, place.languages) for word in group)
    counts = {word: _number(store, "postings", {"term": word, "most": most + 1}) for word in wanted}
    terms = ranking.chosen(counts, most)
    weights = [
        (one.term, ranking.idf(place.indexed, _number(store, "chunks_with", {"term": one.term})))
        for one in terms
        if one.used
    ]
    values: Bindings = {
        "terms": encoded(weights),
        "k1": ranking.K1,
        "b": ranking.B,
        "average": place.terms / max(1, place.indexed),
        "most": CHUNKS if passing is None else -1,
    }
    rows = msgspec.convert(store.rows(_SQL["by_words"], values), list[tuple[int, int, float]])
    hits = [Hit(*row) for row in rows if passing is None or row[0] in passing][:CHUNKS]
    told = tuple(Asked(term=one.term.partition("x")[2], postings=one.postings, used=one.used) for one in terms)
    return told, hits


def _passing(store: Store | Reader, place: Space, filters: Filters) -> set[int] | None:
    """The chunks that may be found; None for all of the space's."""
    if filters.empty:
        return None
    values: Bindings = {"first": place.first, "last": place.last, **bindings(filters)}
    return {row for (row,) in msgspec.convert(store.rows(_PASSING, values), list[tuple[int]])}


def _places(store: Store | Reader, hits: list[Hit]) -> dict[int, Place]:
    """Each fragment by its best chunk, the best DEPTH of them, with what that chunk is."""
    best: dict[int, Hit] = {}
    for hit in hits:
        best.setdefault(hit.fragment, hit)
    kept = list(best.values())[:DEPTH]
    rows = store.rows(_SQL["spans"], {"ids": encoded([hit.chunk for hit in kept])})
    spans = {chunk: (start, finish) for chunk, start, finish in msgspec.convert(rows, list[tuple[int, int, int]])}
    return {
        hit.fragment: Place(rank=rank, score=hit.score, start=spans[hit.chunk][0], finish=spans[hit.chunk][1])
        for rank, hit in enumerate(kept, 1)
    }


def _read(store: Store | Reader, row: int) -> Fragment:
    return fragment(store, store.rows(_SQL["get"], {"id": row})[0])


def _number(store: Store | Reader, query: str, values: Bindings) -> int:
    """The one number that a query answers, 0 where it answers nothing."""
    rows = msgspec.convert(store.rows(_SQL[query], values), list[tuple[int]])
    return rows[0][0] if rows else 0


def _check(question: Question) -> None:
    if not 0 < question.most <= MOST:
        raise Invalid(f"a recall is of 1 to {MOST} fragments, not {question.most}")
    for name, value in (("recency", question.recency), ("diversity", question.diversity)):
        if not 0 <= value <= 1:
            raise Invalid(f"{name} is a number from 0 to 1, not {value}")
