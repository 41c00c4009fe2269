"""Recall: the fragments of a space that answer a question, and why each was found (acts: reads a Store).

Two searches run. By words: BM25 over the index of words, with the space's own statistics, so that scores reveal nothing of
other spaces. By meaning: the nearest vectors (memory/vectors.py), if the caller passes the question's vector. Their ranks
are fused, weighted by time and importance, and thinned of repetitions (memory/ranking.py). Filters apply before ranking.
A question is never parsed as a query language: all of it is words.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from memory import bm25, nearness, ranking, spaces, vectors
from memory.arrays import Numbers, np, numbers
from memory.bm25 import Hit
from memory.errors import ASTRAY, Damaged, Invalid
from memory.filters import NONE, Filters, bindings, to_json, with_conditions
from memory.fragments import TEXT_MAX, Fragment, fragments, row_of
from memory.nearness import Meaning
from memory.queries import queries
from memory.ranking import Term
from memory.spaces import Space
from memory.store import Bindings, Reader
from memory.vectors import Nearest

MOST: Final = 100
DEPTH: Final = 100
"""The most fragments that each search passes to the fusion."""

THINNED: Final = 3
"""Results that differ are chosen from this many times the wanted number."""

MOSTLY: Final = 8
"""If more than one fragment in this many passes a filter, all chunks are read in order instead of one by one."""

_SQL: Final = {**queries("fragments"), **queries("recall")}


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question. most: results, 1 to MOST. recency, diversity: their weights, from 0 to 1.

    whole: the most characters of a text that a result includes completely; of a longer one it has the piece that was found.
    Diversity applies as far as the vectors are trusted, since they show what repeats what.
    """

    text: str
    most: int = 10
    whole: int = TEXT_MAX
    filters: Filters = NONE
    recency: float = ranking.RECENCY
    diversity: float = ranking.DIVERSITY


class Place(Struct, frozen=True, kw_only=True):
    """A fragment's result in one search. score: of BM25, or the cosine; start, finish: offsets of the piece that was found.

    matched: the share of the question's words that it has, weighted; for the search by words only.
    """

    rank: int
    score: float
    matched: float
    start: int
    finish: int


class Found(Struct, frozen=True, kw_only=True):
    """A result, and why it was found. fused: its score by ranks alone; score: the final one.

    start, finish: the piece of its text that was found; cut: whether its text is that piece only.
    """

    fragment: Fragment
    start: int
    finish: int
    cut: bool
    score: float
    fused: float
    freshness: float
    words: Place | None = None
    meaning: Place | None = None


class Recalled(Struct, frozen=True, kw_only=True):
    """The answer. terms: of the question; words, meaning: how many fragments each search found; chunks: in the space."""

    found: tuple[Found, ...]
    terms: tuple[Term, ...]
    words: int
    meaning: int
    chunks: int


class _Ranked(Struct, frozen=True):
    rank: int
    hit: Hit


def recall(store: Reader, space: str, question: Question, meaning: Meaning | None = None) -> Recalled:
    """Return the fragments that answer a question, best first. Raises Invalid, and Absent for an unregistered model."""
    _check(question)
    with store.moment():
        place = spaces.find(store, space)
        passing = _passing(store, place, question.filters)
        terms, hits = bm25.search_words(store, place, question.text, passing)
        near = None if meaning is None else vectors.nearest(store, place, meaning.model, meaning.vector, passing)
        words = _best(hits)
        close = _best(nearness.hits(store, near)) if near else {}
        found = _ordered(store, question, words, close, _trust(place, meaning), near)
    return Recalled(found=found, terms=terms, words=len(words), meaning=len(close), chunks=place.indexed)


def _ordered(
    store: Reader,
    question: Question,
    words: dict[int, _Ranked],
    close: dict[int, _Ranked],
    trust: float,
    near: Nearest | None,
) -> tuple[Found, ...]:
    """Fuse, weight and thin the results of both searches."""
    now, most = store.now(), question.most * THINNED
    known = max((one.hit.matched for one in words.values()), default=0.0)
    fused = {row: _fused(words.get(row), known, close.get(row), trust) for row in {*words, *close}}
    hopeful = ranking.within_reach(fused, most, question.recency)
    found: list[tuple[float, float, float, int]] = []
    told = store.rows(_SQL["candidates"], {"ids": to_json(hopeful)})
    if len(told) != len(hopeful):
        raise Damaged(ASTRAY)
    for row, time, importance in msgspec.convert(told, list[tuple[int, int, float]]):
        freshness = ranking.freshness(now - time)
        score = ranking.weigh(fused[row], freshness=freshness, importance=importance, recency=question.recency)
        found.append((score, fused[row], freshness, row))
    found.sort(reverse=True)
    del found[most:]
    chunks = [(close.get(row) or words[row]).hit.chunk for *_, row in found]
    likeness = nearness.likeness(near, chunks) if near else []
    taken = ranking.diversify([score for score, *_ in found], likeness, question.most, question.diversity * trust)
    rows = [found[at][3] for at, _ in taken]
    by_words, by_meaning = _places(store, words, rows), _places(store, close, rows)
    results = []
    for (at, score), whole in zip(taken, _read(store, rows), strict=True):
        _, alone, freshness, row = found[at]
        said, meant = by_words.get(row), by_meaning.get(row)
        results.append(_found(question, whole, said, meant, score=score, fused=alone, freshness=freshness))
    return tuple(results)


def _trust(place: Space, meaning: Meaning | None) -> float:
    """Return the trust in the vectors, by the mean length of the space's chunks."""
    length = place.terms / place.indexed if place.indexed else 0.0
    return 0.0 if meaning is None else ranking.trust(meaning.reach, length)


def _fused(words: _Ranked | None, known: float, close: _Ranked | None, trust: float) -> float:
    """Return a fragment's fused score, by its ranks in both searches."""
    matched = words.hit.matched if words else 0.0
    return ranking.fuse(words.rank if words else None, matched, known, close.rank if close else None, trust)


def _found(
    question: Question, whole: Fragment, words: Place | None, meaning: Place | None, *, score: float, fused: float,
    freshness: float,
) -> Found:  # fmt: skip
    """Make a result. Its piece is that of the search in which it ranks higher."""
    best = min((place for place in (words, meaning) if place is not None), key=lambda place: place.rank)
    is_cut = len(whole.text) > question.whole
    shown = replace(whole, text=whole.text[best.start : best.finish]) if is_cut else whole
    return Found(
        fragment=shown, start=best.start, finish=best.finish, cut=is_cut, score=score, fused=fused, freshness=freshness,
        words=words, meaning=meaning,
    )  # fmt: skip


def _passing(store: Reader, place: Space, filters: Filters) -> Numbers | None:
    """Return the chunks whose fragments pass the filters; None for all of the space."""
    if filters.empty:
        return None
    values: Bindings = {"space": place.id, "first": place.first, "last": place.last, **bindings(filters)}
    ((told,),) = store.rows(with_conditions(_SQL["passing"], _SQL, filters), values)
    rows = numbers(told)
    if len(rows) * MOSTLY < place.indexed:
        ((told,),) = store.rows(_SQL["chunks_of"], {"ids": to_json(rows.tolist())})
        return numbers(told)
    ((of, told),) = store.rows(_SQL["all_chunks"], {"first": place.first, "last": place.last})
    found: Numbers = numbers(told)[np.isin(numbers(of), rows)]
    return found


def _best(hits: Iterable[Hit]) -> dict[int, _Ranked]:
    """Return the best DEPTH fragments, each with its rank and its best chunk. hits: best first."""
    best: dict[int, _Ranked] = {}
    for hit in hits:
        if hit.fragment not in best:
            best[hit.fragment] = _Ranked(len(best) + 1, hit)
            if len(best) == DEPTH:
                break
    return best


def _places(store: Reader, part: dict[int, _Ranked], rows: Sequence[int]) -> dict[int, Place]:
    """Return the places of these fragments in one search, each with the piece of text of its chunk."""
    kept = {row: part[row] for row in rows if row in part}
    told = store.rows(_SQL["spans"], {"ids": to_json([one.hit.chunk for one in kept.values()])})
    spans = {chunk: (start, finish) for chunk, start, finish in msgspec.convert(told, list[tuple[int, int, int]])}
    if any(one.hit.chunk not in spans for one in kept.values()):
        raise Damaged(ASTRAY)
    return {
        row: Place(
            rank=one.rank,
            score=one.hit.score,
            matched=one.hit.matched,
            start=spans[one.hit.chunk][0],
            finish=spans[one.hit.chunk][1],
        )
        for row, one in kept.items()
    }


def _read(store: Reader, rows: Sequence[int]) -> list[Fragment]:
    return fragments(store, [row_of(store, row) for row in rows])


def _check(question: Question) -> None:
    if not 0 < question.most <= MOST:
        raise Invalid(f"a recall is of 1 to {MOST} fragments, not {question.most}")
    for name, value in (("recency", question.recency), ("diversity", question.diversity)):
        if not 0 <= value <= 1:
            raise Invalid(f"{name} is a number from 0 to 1, not {value}")
