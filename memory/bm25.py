"""The search by words of a recall: Okapi BM25 over the index of words (acts: reads a Store).

FTS5 stores the index and lists a term's occurrences; the formula is ours, because FTS5's own function counts the rows of
the whole file, so that a score in one space would reveal others. A question reads up to POSTINGS occurrences: beyond that
its commonest words are left out, while the rarest is always read. If more than MOST chunks have one of the words, MOST of
them are chosen without regard to their lengths, which would have to be read for each.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory import ranking
from memory.arrays import Numbers, np, numbers
from memory.errors import ASTRAY, Damaged
from memory.filters import to_json
from memory.indexing import term
from memory.queries import queries
from memory.ranking import Term
from memory.spaces import Space
from memory.store import Reader
from memory.words import question_terms

POSTINGS: Final = 16_384
MOST: Final = 200
RARE: Final = 2_048
ALL: Final = -1
"""RARE: a term with at most so many occurrences is read at once, instead of being counted first. ALL: SQLite's LIMIT for
no bound."""

_SQL: Final = queries("recall")


class Hit(Struct, frozen=True):
    """A chunk that was found. matched: the share of the question's words that it has, weighted."""

    chunk: int
    fragment: int
    score: float
    matched: float = 0.0


class _Having(Struct, frozen=True):
    """The chunks that have a term, and how often each has it."""

    chunks: Numbers
    times: Numbers

    @property
    def standing(self) -> tuple[int, int]:
        return len(self.chunks), int(self.times.sum())


def search_words(
    store: Reader, place: Space, question: str, passing: Numbers | None
) -> tuple[tuple[Term, ...], list[Hit]]:
    """Return the question's terms, and the best MOST chunks, best first. passing: the chunks to consider, None for all."""
    groups = [[term(place, word) for word in group] for group in question_terms(question, place.languages)]
    read = {word: _places(store, word, RARE + 1) for group in groups for word in group}
    rare = {word: _count_places(places) for word, places in read.items() if len(places) <= RARE}
    counts = {word: rare[word].standing if word in rare else _count_standing(store, place, word) for word in read}
    if any(chunks > place.indexed for chunks, _ in counts.values()):
        raise Damaged(ASTRAY)
    terms = {one.term: one for one in ranking.choose_terms(counts, POSTINGS)}
    weights = {word: ranking.idf(place.indexed, one.chunks) for word, one in terms.items() if one.used}
    total = ranking.question_weight(
        [[terms[word] for word in group] for group in groups], weights, ranking.idf(place.indexed, 0)
    )
    told = tuple(msgspec.structs.replace(one, term=one.term.partition("x")[2]) for one in terms.values())
    having = [rare[word] if word in rare else _count_places(_places(store, word, ALL)) for word in weights]
    return told, _score(store, place, list(weights.values()), having, total, passing) if weights else []


def _count_standing(store: Reader, place: Space, word: str) -> tuple[int, int]:
    """Return the numbers of a term's chunks and occurrences, counted up to POSTINGS.

    A commoner term's occurrences are not resolved to chunks: it is assumed to be in as many chunks as possible.
    """
    ((places,),) = msgspec.convert(store.rows(_SQL["bounded"], {"term": word, "most": POSTINGS + 1}), list[tuple[int]])
    if not 0 < places <= POSTINGS:
        return min(places, place.indexed), places
    return msgspec.convert(store.rows(_SQL["standing"], {"term": word})[0], tuple[int, int])


def _score(
    store: Reader, place: Space, weights: Sequence[float], having: Sequence[_Having], total: float,
    passing: Numbers | None,
) -> list[Hit]:  # fmt: skip
    """Return the best chunks, best first. weights, having: of each term; total: the weight of the whole question."""
    idf = np.repeat(np.array(weights), [len(one.chunks) for one in having])
    tf = np.concatenate([one.times for one in having]).astype(np.float64)
    chunks, at = np.unique(np.concatenate([one.chunks for one in having]), return_inverse=True)
    first = np.bincount(at, idf * tf / (tf + ranking.K1))
    if passing is not None:
        first[~np.isin(chunks, passing)] = 0
    kept = np.argpartition(-first, MOST)[:MOST] if len(first) > MOST else np.arange(len(first))
    kept = np.sort(kept[first[kept] > 0])
    rows = _chunks(store, chunks[kept].tolist())
    if len(rows) != len(kept):
        raise Damaged(ASTRAY)
    place_of = np.full(len(chunks), -1)
    place_of[kept] = np.arange(len(kept))
    at = place_of[at]
    at, idf, tf = at[at >= 0], idf[at >= 0], tf[at >= 0]
    length = np.array([terms for _, _, terms in rows]) / (place.terms / place.indexed)
    norm = ranking.K1 * (1 - ranking.B + ranking.B * length)
    scores = np.bincount(at, idf * tf * (ranking.K1 + 1) / (tf + norm[at]), len(rows))
    matched = np.bincount(at, idf, len(rows)) / total
    hits = [
        Hit(chunk, fragment, score, share)
        for (chunk, fragment, _), score, share in zip(rows, scores.tolist(), matched.tolist(), strict=True)
    ]
    return sorted(hits, key=lambda hit: (-hit.score, -hit.chunk))


def _count_places(places: Numbers) -> _Having:
    return _Having(*np.unique(places, return_counts=True))


def _places(store: Reader, word: str, most: int) -> Numbers:
    """Return the chunk of each occurrence of a term, for the first `most` or ALL."""
    ((told,),) = store.rows(_SQL["places"], {"term": word, "most": most})
    return numbers(told)


def _chunks(store: Reader, ids: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return chunks with their fragments and lengths, in the order of their ids."""
    return msgspec.convert(store.rows(_SQL["chunks"], {"ids": to_json(ids)}), list[tuple[int, int, int]])
