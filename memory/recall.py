"""Recall: the fragments of a space that answer a question, and why each was found (acts: reads a Store).

Two parts look for it. Words: BM25 over the index of words, with the space's own statistics, so that no other space's content
shows in a score. Meaning: the nearest vectors (memory/vectors.py), when the caller brings the question's. Their ranks are
fused, then weighed by time and importance, and thinned of what says the same again (memory/ranking.py). Filters hold before
anything is ranked. A question is never parsed as a query language: whatever it holds, it is words.
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
from memory.filters import NONE, Filters, bindings, conditioned, encoded
from memory.fragments import TEXT_MAX, Fragment, fragments, named
from memory.nearness import Meaning
from memory.queries import queries
from memory.ranking import Asked
from memory.spaces import Space
from memory.store import Bindings, Reader
from memory.vectors import Nearest

MOST: Final = 100
DEPTH: Final = 100
"""Fragments that each part brings to the fusion."""

THINNED: Final = 3
"""Of how many times the results that are wanted those are chosen that differ."""

MOSTLY: Final = 8
"""Where more than one in so many fragments passes a filter, all chunks are read in their order rather than each by itself."""

_SQL: Final = {**queries("fragments"), **queries("recall")}


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked. most: results, 1 to MOST. recency, diversity: how much these count, from 0 for nothing to 1.

    whole: characters of a text up to which a result has all of it; of a longer one it has the piece that was found.
    Diversity counts as far as the vectors are trusted, which tell what repeats what.
    """

    text: str
    most: int = 10
    whole: int = TEXT_MAX
    filters: Filters = NONE
    recency: float = ranking.RECENCY
    diversity: float = ranking.DIVERSITY


class Place(Struct, frozen=True, kw_only=True):
    """A fragment's place in one part. score: of BM25, or the cosine of the vectors; start, finish: the piece of its text.

    matched: the share of the question's words that it has, each by its weight; of words alone.
    """

    rank: int
    score: float
    matched: float
    start: int
    finish: int


class Found(Struct, frozen=True, kw_only=True):
    """A result, and why it is one. fused: by ranks alone; score: what it was taken at, after all of it.

    start, finish: the piece of its text that was found; cut: its text is that piece alone.
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
    """The answer. terms: of the words; words, meaning: fragments that each part brought; chunks: of the space."""

    found: tuple[Found, ...]
    terms: tuple[Asked, ...]
    words: int
    meaning: int
    chunks: int


class _Ranked(Struct, frozen=True):
    rank: int
    hit: Hit


def recall(store: Reader, space: str, question: Question, meaning: Meaning | None = None) -> Recalled:
    """What the space has to say to a question, best first. Raises Invalid, and Absent for a model that is not registered."""
    _check(question)
    with store.moment():
        place = spaces.found(store, space)
        passing = _passing(store, place, question.filters)
        terms, hits = bm25.by_words(store, place, question.text, passing)
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
    """The parts' fragments fused, weighed and thinned."""
    now, most = store.now(), question.most * THINNED
    known = max((one.hit.matched for one in words.values()), default=0.0)
    fused = {row: _fused(words.get(row), known, close.get(row), trust) for row in {*words, *close}}
    hopeful = ranking.within_reach(fused, most, question.recency)
    found: list[tuple[float, float, float, int]] = []
    told = store.rows(_SQL["candidates"], {"ids": encoded(hopeful)})
    if len(told) != len(hopeful):
        raise Damaged(ASTRAY)
    for row, time, importance in msgspec.convert(told, list[tuple[int, int, float]]):
        freshness = ranking.freshness(now - time)
        score = ranking.weighed(fused[row], freshness=freshness, importance=importance, recency=question.recency)
        found.append((score, fused[row], freshness, row))
    found.sort(reverse=True)
    del found[most:]
    chunks = [(close.get(row) or words[row]).hit.chunk for *_, row in found]
    likeness = nearness.likeness(near, chunks) if near else []
    taken = ranking.diverse([score for score, *_ in found], likeness, question.most, question.diversity * trust)
    rows = [found[at][3] for at, _ in taken]
    by_words, by_meaning = _places(store, words, rows), _places(store, close, rows)
    results = []
    for (at, score), whole in zip(taken, _read(store, rows), strict=True):
        _, alone, freshness, row = found[at]
        said, meant = by_words.get(row), by_meaning.get(row)
        results.append(_found(question, whole, said, meant, score=score, fused=alone, freshness=freshness))
    return tuple(results)


def _trust(place: Space, meaning: Meaning | None) -> float:
    """In the vectors, by how long the space's chunks are."""
    length = place.terms / place.indexed if place.indexed else 0.0
    return 0.0 if meaning is None else ranking.trust(meaning.reach, length)


def _fused(words: _Ranked | None, known: float, close: _Ranked | None, trust: float) -> float:
    """What ranks alone make of a fragment, by its places in the parts."""
    matched = words.hit.matched if words else 0.0
    return ranking.fused(words.rank if words else None, matched, known, close.rank if close else None, trust)


def _found(
    question: Question, whole: Fragment, words: Place | None, meaning: Place | None, *, score: float, fused: float,
    freshness: float,
) -> Found:  # fmt: skip
    """A result, by the part in which it stands higher."""
    best = min((place for place in (words, meaning) if place is not None), key=lambda place: place.rank)
    is_cut = len(whole.text) > question.whole
    shown = replace(whole, text=whole.text[best.start : best.finish]) if is_cut else whole
    return Found(
        fragment=shown, start=best.start, finish=best.finish, cut=is_cut, score=score, fused=fused, freshness=freshness,
        words=words, meaning=meaning,
    )  # fmt: skip


def _passing(store: Reader, place: Space, filters: Filters) -> Numbers | None:
    """The chunks that may be found; None for all of the space's."""
    if filters.empty:
        return None
    values: Bindings = {"space": place.id, "first": place.first, "last": place.last, **bindings(filters)}
    ((told,),) = store.rows(conditioned(_SQL["passing"], _SQL, filters), values)
    rows = numbers(told)
    if len(rows) * MOSTLY < place.indexed:
        ((told,),) = store.rows(_SQL["chunks_of"], {"ids": encoded(rows.tolist())})
        return numbers(told)
    ((of, told),) = store.rows(_SQL["all_chunks"], {"first": place.first, "last": place.last})
    found: Numbers = numbers(told)[np.isin(numbers(of), rows)]
    return found


def _best(hits: Iterable[Hit]) -> dict[int, _Ranked]:
    """Each fragment by its best chunk, the best DEPTH of them."""
    best: dict[int, _Ranked] = {}
    for hit in hits:
        if hit.fragment not in best:
            best[hit.fragment] = _Ranked(len(best) + 1, hit)
            if len(best) == DEPTH:
                break
    return best


def _places(store: Reader, part: dict[int, _Ranked], rows: Sequence[int]) -> dict[int, Place]:
    """Where these fragments stand in a part, with the piece of text that their chunk is."""
    kept = {row: part[row] for row in rows if row in part}
    told = store.rows(_SQL["spans"], {"ids": encoded([one.hit.chunk for one in kept.values()])})
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
    return fragments(store, [named(store, row) for row in rows])


def _check(question: Question) -> None:
    if not 0 < question.most <= MOST:
        raise Invalid(f"a recall is of 1 to {MOST} fragments, not {question.most}")
    for name, value in (("recency", question.recency), ("diversity", question.diversity)):
        if not 0 <= value <= 1:
            raise Invalid(f"{name} is a number from 0 to 1, not {value}")
