"""Consolidation: maintenance of fragments while a memory is idle (acts on a Store).

It processes the live fragments in small steps, each a transaction of some milliseconds, so readers never wait for it, and
writers hardly. Near-duplicates are merged; recurring fragments gain importance; faded ones are archived
(memory/fading.py). An archived fragment is no longer recalled and stays in history unchanged: nothing is deleted.
"""

from typing import Final

import msgspec
from msgspec import Struct

from memory import fading, spaces
from memory.bm25 import search_words
from memory.errors import ASTRAY, Damaged
from memory.filters import encode_labels
from memory.indexing import unindex
from memory.queries import queries
from memory.sameness import near_duplicate_key
from memory.spaces import Space
from memory.store import Bindings, Store
from memory.words import READ_MAX, index_terms

STEP: Final = 20
COMPARED: Final = 10
"""The number of nearest fragments, by words, with which a fragment is compared."""

_SQL: Final = queries("consolidation")


class Report(Struct, frozen=True, kw_only=True):
    """What a step did, by the fragments' ids. merged: (removed, kept); after: for the next step, None after the last."""

    looked: int
    merged: tuple[tuple[int, int], ...]
    promoted: tuple[int, ...]
    archived: tuple[int, ...]
    after: int | None


class _Row(Struct, frozen=True, array_like=True):
    id: int
    text: str
    kind: str
    importance: float
    labels: str
    metadata: str
    language: str
    seen: int
    uses: int
    used: int
    counted: int

    @property
    def again(self) -> int:
        return self.seen - 1 + self.uses


def consolidate(store: Store, after: int = 0, most: int = STEP) -> Report:
    """Process the next `most` live fragments with ids above `after`."""
    merged: list[tuple[int, int]] = []
    promoted: list[int] = []
    archived: list[int] = []
    with store.write():
        rows = msgspec.convert(store.rows(_SQL["next"], {"after": after, "most": most}), list[_Row])
        for row in rows:
            place = spaces.space_of_row(store, row.id)
            if (kept := _twin(store, place, row)) is not None:
                _merge(store, place, row, kept)
                merged.append((row.id, kept.id))
            elif _faded(store, row):
                _archive(store, place, row.id, None)
                archived.append(row.id)
            elif row.again // fading.RECURRING > row.counted // fading.RECURRING:
                _promote(store, row)
                promoted.append(row.id)
    return Report(
        looked=len(rows),
        merged=tuple(merged),
        promoted=tuple(promoted),
        archived=tuple(archived),
        after=rows[-1].id if len(rows) == most else None,
    )


def _twin(store: Store, place: Space, row: _Row) -> _Row | None:
    """Return an older live near-duplicate of the same kind and metadata, or None."""
    if len(row.text) > READ_MAX:
        return None
    own = near_duplicate_key(row.text, index_terms(row.text, row.language))
    _, hits = search_words(store, place, row.text, None)
    for hit in hits[:COMPARED]:
        if hit.fragment >= row.id:
            continue
        rows = msgspec.convert(store.rows(_SQL["one"], {"id": hit.fragment}), list[_Row])
        if not rows:
            raise Damaged(ASTRAY)
        other = rows[0]
        if (other.kind, other.metadata) != (row.kind, row.metadata) or len(other.text) > READ_MAX:
            continue
        if near_duplicate_key(other.text, index_terms(other.text, other.language)) == own:
            return other
    return None


def _merge(store: Store, place: Space, row: _Row, kept: _Row) -> None:
    labels = {*msgspec.json.decode(kept.labels, type=list[str]), *msgspec.json.decode(row.labels, type=list[str])}
    values: Bindings = {
        "id": kept.id, "labels": encode_labels(labels), "importance": row.importance, "seen": row.seen,
        "uses": row.uses, "used": row.used, "gone": row.id, "now": store.now(),
    }  # fmt: skip
    store.rows(_SQL["absorb"], values)
    store.rows(_SQL["copy_origins"], {"id": row.id, "kept": kept.id})
    _archive(store, place, row.id, kept.id)


def _archive(store: Store, place: Space, row: int, successor: int | None) -> None:
    unindex(store, place, row)
    store.rows(_SQL["archive"], {"id": row, "successor": successor, "now": store.now()})


def _faded(store: Store, row: _Row) -> bool:
    age = store.now() - row.used
    return fading.strength(age=age, again=row.again, importance=row.importance) < fading.ARCHIVED


def _promote(store: Store, row: _Row) -> None:
    importance = fading.promoted_importance(importance=row.importance, before=row.counted, again=row.again)
    store.rows(_SQL["promote"], {"id": row.id, "importance": importance, "counted": row.again})
