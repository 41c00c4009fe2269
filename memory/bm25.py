"""The part of a recall that goes by words (acts: reads a Store): Okapi BM25 over the index of words.

FTS5 keeps the index and says where a term stands; the formula is ours, because FTS5's own function counts the rows of
the whole file, and a score of one space would tell of the others. A question reads up to POSTINGS places: its commonest
words are left out beyond that, and the rarest is always read. Where more than MOST chunks have one of the words, those are
chosen without regard to their length, which would have to be looked up for each.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory import ranking
from memory.arrays import Numbers, np, numbers
from memory.errors import ASTRAY, Damaged
from memory.filters import encoded
from memory.indexing import term
from memory.queries import queries
from memory.ranking import Asked
from memory.spaces import Space
from memory.store import Reader
from memory.words import asked

POSTINGS: Final = 16_384
MOST: Final = 200
RARE: Final = 2_048
ALL: Final = -1
"""Places of a term that are read at once, instead of being counted first; and no bound, as SQLite's LIMIT has it."""

_SQL: Final = queries("recall")


class Hit(Struct, frozen=True):
    """A chunk that was found. matched: the share of the question's words that it has, each by its weight."""

    chunk: int
    fragment: int
    score: float
    matched: float = 0.0


class _Having(Struct, frozen=True):
    """The chunks that have a term, and how many times each."""

    chunks: Numbers
    times: Numbers

    @property
    def standing(self) -> tuple[int, int]:
        return len(self.chunks), int(self.times.sum())


def by_words(
    store: Reader, place: Space, question: str, passing: Numbers | None
) -> tuple[tuple[Asked, ...], list[Hit]]:
    """What was asked of the index, and the MOST chunks that answer best, best first."""
    groups = [[term(place, word) for word in group] for group in asked(question, place.languages)]
    read = {word: _places(store, word, RARE + 1) for group in groups for word in group}
    rare = {word: _counted(places) for word, places in read.items() if len(places) <= RARE}
    counts = {word: rare[word].standing if word in rare else _standing(store, place, word) for word in read}
    if any(chunks > place.indexed for chunks, _ in counts.values()):
        raise Damaged(ASTRAY)
    terms = {one.term: one for one in ranking.chosen(counts, POSTINGS)}
    weights = {word: ranking.idf(place.indexed, one.chunks) for word, one in terms.items() if one.used}
    total = ranking.asked_weight(
        [[terms[word] for word in group] for group in groups], weights, ranking.idf(place.indexed, 0)
    )
    told = tuple(msgspec.structs.replace(one, term=one.term.partition("x")[2]) for one in terms.values())
    having = [rare[word] if word in rare else _counted(_places(store, word, ALL)) for word in weights]
    return told, _scored(store, place, list(weights.values()), having, total, passing) if weights else []


def _standing(store: Reader, place: Space, word: str) -> tuple[int, int]:
    """In how many chunks a term stands, and in how many places; both are counted up to what can be read at all.

    Of a commoner one it is not known how its places lie, so it is taken to stand in every chunk it could.
    """
    ((places,),) = msgspec.convert(store.rows(_SQL["bounded"], {"term": word, "most": POSTINGS + 1}), list[tuple[int]])
    if not 0 < places <= POSTINGS:
        return min(places, place.indexed), places
    return msgspec.convert(store.rows(_SQL["standing"], {"term": word})[0], tuple[int, int])


def _scored(
    store: Reader, place: Space, weights: Sequence[float], having: Sequence[_Having], total: float,
    passing: Numbers | None,
) -> list[Hit]:  # fmt: skip
    """The best chunks. weights, having: of each term."""
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


def _counted(places: Numbers) -> _Having:
    return _Having(*np.unique(places, return_counts=True))


def _places(store: Reader, word: str, most: int) -> Numbers:
    """The chunk of each place where a term stands, of the first so many or of ALL."""
    ((told,),) = store.rows(_SQL["places"], {"term": word, "most": most})
    return numbers(told)


def _chunks(store: Reader, ids: Sequence[int]) -> list[tuple[int, int, int]]:
    """Chunks with their fragments and lengths, in the order of their ids."""
    return msgspec.convert(store.rows(_SQL["chunks"], {"ids": encoded(ids)}), list[tuple[int, int, int]])
