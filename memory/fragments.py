"""Fragments: texts to be recalled. Store, get, update, forget, list (acts on a Store).

A fragment has a number within its space. Storing a duplicate of a live fragment of the same kind and metadata
(memory/sameness.py) merges: that fragment keeps its text, and gets the labels, the origin and the greater importance and
time of the new one. A fragment that `supersedes` another takes its place: the older one is no longer recalled and stays
in history, as do fragments that consolidation archives. `forget` removes a fragment completely, from history too.

When a call returns, the fragment is on disk and found by its words; its vector follows later (memory/vectors.py).
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from memory import spaces
from memory.errors import ASTRAY, Absent, Conflict, Damaged, Invalid
from memory.filters import (
    NONE,
    Filters,
    Metadata,
    Scalar,
    bindings,
    decode_labels,
    encode_labels,
    to_json,
    with_conditions,
)
from memory.indexing import add_language, index, unindex
from memory.queries import queries
from memory.sameness import sameness
from memory.spaces import Space
from memory.store import Binding, Reader, Row, Store
from memory.times import COUNT_LAST, check_times, usable_number
from memory.words import language_of

TEXT_MAX: Final = 768 << 10
"""The most bytes of a text in UTF-8: with its other fields it fits into a reply."""

NAME_MAX: Final = 1_024
"""The most characters of a kind, source or run."""

ORIGINS_SHOWN: Final = 16
"""The most origins that a Fragment includes."""

METADATA_MAX: Final = 1 << 16
"""The most bytes of metadata as JSON."""

LABELS_MAX: Final = 64
LIST_MAX: Final = 1_000
_SQL: Final = queries("fragments")


class New(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to store. time: of what it describes, microseconds since 1970, None for now; importance: 0 to 1.

    source, run, entry: the source, the run and the log entry that it came from, as claimed by the caller. call: the kernel's
    number of the call, which identifies the run in the log; 0 for none.
    """

    text: str
    kind: str = "note"
    source: str = ""
    time: int | None = None
    importance: float = 0.5
    labels: tuple[str, ...] = ()
    metadata: dict[str, object] = {}
    run: str = ""
    entry: int | None = None
    call: int = 0


class Changes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes to a fragment; None leaves a field unchanged. Labels can only be added: they mark where data came from."""

    text: str | None = None
    kind: str | None = None
    time: int | None = None
    importance: float | None = None
    labels: tuple[str, ...] = ()
    metadata: dict[str, object] | None = None


class Origin(Struct, frozen=True, kw_only=True):
    """One origin of a fragment. call: the number of the call that first reported it, 0 for none."""

    source: str
    run: str
    entry: int | None
    time: int
    call: int = 0


class Fragment(Struct, frozen=True, kw_only=True):
    """A fragment. seen: how often it was stored; uses, used: how often it was used, and when last.

    origins: the last ORIGINS_SHOWN of them.
    """

    number: int
    text: str
    kind: str
    time: int
    importance: float
    labels: tuple[str, ...]
    metadata: dict[str, Scalar | list[object] | dict[str, object]]
    state: Literal["live", "superseded", "archived"]
    successor: int | None
    seen: int
    uses: int
    used: int
    created: int
    changed: int
    origins: tuple[Origin, ...] = ()


class Stored(Struct, frozen=True, kw_only=True):
    """The fragment that a text was stored in. merged: it existed already; labels: those that it then had."""

    number: int
    merged: bool
    labels: tuple[str, ...] = ()


def add(store: Store, space: str, new: New, *, supersedes: int | None = None) -> Stored:
    """Store a text. Raises Invalid; Absent and Conflict for the fragment that it supersedes."""
    check(new.text, (new.kind, new.source, new.run), new.importance, new.labels)
    check_times(new.time)
    if new.entry is not None and not 0 <= new.entry <= COUNT_LAST:
        raise Invalid(f"an entry's number goes from 0 to {COUNT_LAST}")
    metadata = encode_metadata(new.metadata)
    with store.write():
        place = spaces.ensure(store, space)
        older = None if supersedes is None else _ident(_live(store, place, supersedes))
        if older is not None:
            unindex(store, place, older)
            store.rows(_SQL["supersede"], {"id": older, "now": store.now()})
        same = sameness(new.text, str(place.id), new.kind, metadata)
        rows = store.rows(_SQL["same"], {"sameness": same})
        row = int(str(rows[0][0])) if rows else _insert(store, place, new, same, metadata)
        labels = _merge(store, row, new) if rows else ()
        if older is not None:
            store.rows(_SQL["succeed"], {"id": older, "successor": row})
        _originate(store, row, new)
        return Stored(number=spaces.number(row), merged=bool(rows), labels=labels)


def get(store: Reader, space: str, number: int) -> Fragment:
    """Return the fragment of this number, live or in history. Raises Absent."""
    rows = store.rows(_SQL["get"], {"id": _row(spaces.find(store, space), number)})
    if not rows:
        raise _absent(number)
    return fragment(store, rows[0])


def update(store: Store, space: str, number: int, changes: Changes) -> Fragment:
    """Correct a live fragment in place; to replace one that became untrue, supersede it. Raises Absent, Conflict, Invalid."""
    check_times(changes.time)
    with store.write():
        place = spaces.find(store, space)
        live = _live(store, place, number)
        row, now = _ident(live), fragment(store, live)
        text = now.text if changes.text is None else changes.text
        kind = now.kind if changes.kind is None else changes.kind
        importance = now.importance if changes.importance is None else changes.importance
        check(text, (kind,), importance, changes.labels)
        labels = (*now.labels, *changes.labels)
        metadata = encode_metadata(now.metadata if changes.metadata is None else changes.metadata)
        same = sameness(text, str(place.id), kind, metadata)
        if (rows := store.rows(_SQL["same"], {"sameness": same})) and rows[0][0] != row:
            raise Conflict(f"fragment {spaces.number(int(str(rows[0][0])))} says the same already: forget one of them")
        language = language_of(text)
        values: dict[str, Binding] = {
            "id": row, "text": text, "kind": kind, "importance": importance, "labels": encode_labels(labels),
            "now": store.now(), "time": now.time if changes.time is None else changes.time, "metadata": metadata,
            "language": language, "sameness": same,
        }  # fmt: skip
        store.rows(_SQL["change"], values)
        if text != now.text:
            unindex(store, place, row)
            index(store, place, row, text, language)
            add_language(store, place, language)
        return get(store, space, number)


def forget(store: Store, space: str, number: int) -> None:
    """Remove a fragment, its origins, chunks, words and vectors. Raises Absent."""
    with store.write():
        place = spaces.find(store, space)
        row = _row(place, number)
        if not store.rows(_SQL["get"], {"id": row}):
            raise _absent(number)
        store.scrub()
        unindex(store, place, row)
        store.rows(_SQL["orphan"], {"id": row})
        store.rows(_SQL["delete"], {"id": row})


def listed(
    store: Reader,
    space: str,
    filters: Filters = NONE,
    *,
    after: int = 0,
    most: int = 100,
    history: bool = False,
) -> list[Fragment]:
    """Return fragments in the order of their numbers, above `after`. history: also those that are no longer recalled."""
    if not 0 < most <= LIST_MAX:
        raise Invalid(f"a listing is of 1 to {LIST_MAX} fragments, not {most}")
    place = spaces.find(store, space)
    values: dict[str, Binding] = {
        "space": place.id, "first": place.first, "after": _row(place, after), "last": place.last, "most": most,
        "history": history, **bindings(filters),
    }  # fmt: skip
    return fragments(store, store.rows(with_conditions(_SQL["list"], _SQL, filters), values))


def all_labels(store: Reader, space: str) -> set[str]:
    """Return the labels of all fragments of a space, with its history."""
    place = spaces.find(store, space)
    rows = store.rows(_SQL["labels"], {"first": place.first, "last": place.last})
    return {label for (told,) in rows for label in msgspec.json.decode(str(told), type=list[str])}


def use(store: Store, space: str, numbers: tuple[int, ...]) -> None:
    """Note that these fragments are used now, which keeps them longer (memory/fading.py). Unknown numbers are skipped.

    Raises Invalid for more than LIST_MAX.
    """
    if len(numbers) > LIST_MAX:
        raise Invalid(f"at most {LIST_MAX} fragments are told to have been of use together")
    with store.write():
        place = spaces.find(store, space)
        for number in dict.fromkeys(numbers):
            store.rows(_SQL["used"], {"id": _row(place, number), "now": store.now()})


def row_of(store: Reader, ident: int) -> Row:
    """Return the row of a fragment that an index names. Raises Damaged if there is none."""
    rows = store.rows(_SQL["get"], {"id": ident})
    if not rows:
        raise Damaged(ASTRAY)
    return rows[0]


def fragment(store: Reader, row: Row, most: int = ORIGINS_SHOWN) -> Fragment:
    """Make a Fragment of a row of `get` or `list`, with its last `most` origins; -1 for all."""
    (found,) = fragments(store, [row], most)
    return found


def fragments(store: Reader, rows: Sequence[Row], most: int = ORIGINS_SHOWN) -> list[Fragment]:
    """Make Fragments of rows, as fragment() does; one query reads the origins of all."""
    origins: dict[object, list[object]] = {row[0]: [] for row in rows}
    asked: dict[str, Binding] = {"fragments": to_json(list(origins)), "most": most}
    for row, source, run, entry, time, call in store.rows(_SQL["origins"], asked):
        if row not in origins:
            raise Damaged(ASTRAY)
        told = {"source": source, "run": run, "entry": None if entry == -1 else entry, "time": time, "call": call}
        origins[row].append(told)
    return [_fragment(row, origins[row[0]]) for row in rows]


def _fragment(row: Row, origins: list[object]) -> Fragment:
    found: dict[str, object] = dict(zip(Fragment.__struct_fields__[:-1], row, strict=True))
    successor = row[8]
    found["number"] = spaces.number(_ident(row))
    found["successor"] = None if successor is None else spaces.number(int(str(successor)))
    found["labels"], found["metadata"] = decode_labels(str(row[5])), msgspec.json.decode(str(row[6]))
    found["origins"] = origins
    return msgspec.convert(found, Fragment)


def _insert(store: Store, place: Space, new: New, same: bytes, metadata: str) -> int:
    ((serial,),) = store.rows(_SQL["next_fragment"], {"space": place.id})
    row = place.first + usable_number(serial, spaces.NUMBER_LAST)
    language = language_of(new.text)
    now = store.now()
    values: dict[str, Binding] = {
        "id": row, "text": new.text, "kind": new.kind, "time": now if new.time is None else new.time,
        "importance": new.importance, "labels": encode_labels(new.labels), "metadata": metadata, "language": language,
        "sameness": same, "now": now,
    }  # fmt: skip
    store.rows(_SQL["insert"], values)
    index(store, place, row, new.text, language)
    add_language(store, place, language)
    return row


def _merge(store: Store, row: int, new: New) -> tuple[str, ...]:
    """Merge a duplicate into a fragment. Returns the labels that it had before."""
    labels = msgspec.json.decode(str(row_of(store, row)[5]), type=list[str])
    now = store.now()
    values: dict[str, Binding] = {
        "id": row, "importance": new.importance, "time": now if new.time is None else new.time,
        "labels": encode_labels((*labels, *new.labels)), "now": now,
    }  # fmt: skip
    store.rows(_SQL["merge"], values)
    return tuple(labels)


def _originate(store: Store, row: int, new: New) -> None:
    values: dict[str, Binding] = {
        "fragment": row, "source": new.source, "run": new.run, "entry": -1 if new.entry is None else new.entry,
        "time": store.now(), "call": new.call,
    }  # fmt: skip
    store.rows(_SQL["origin"], values)


def _live(store: Store, place: Space, number: int) -> Row:
    """Return the row of a live fragment. Raises Absent; Conflict for one that was superseded or archived."""
    rows = store.rows(_SQL["get"], {"id": _row(place, number)})
    if not rows:
        raise _absent(number)
    state, successor = rows[0][7:9]
    if state == "superseded":
        by = "one that was forgotten" if successor is None else f"fragment {spaces.number(int(str(successor)))}"
        raise Conflict(f"fragment {number} was superseded by {by} already")
    if state == "archived":
        raise Conflict(f"fragment {number} is archived")
    return rows[0]


def _ident(row: Row) -> int:
    """Return the id in a row of `get` or `list`."""
    return int(str(row[0]))


def _row(place: Space, number: int) -> int:
    return place.first + number if 0 <= number < spaces.NUMBERS else place.last


def _absent(number: int) -> Absent:
    return Absent(f"there is no fragment {number} here")


def check(text: str, names: tuple[str, ...], importance: float, labels: tuple[str, ...]) -> None:
    """Raise Invalid for fields that no fragment can have. names: kind, source, run, and other short texts."""
    try:
        size = len(text.encode())
        for name in (*names, *labels):
            name.encode()
    except UnicodeEncodeError:
        raise Invalid("a fragment is Unicode text, without lone surrogates") from None
    if not text.strip():
        raise Invalid("an empty text cannot be recalled")
    if size > TEXT_MAX:
        raise Invalid(f"a text is at most {TEXT_MAX} bytes, not {size}: store it in parts")
    if any(len(name) > NAME_MAX or "\0" in name for name in (*names, *labels)):
        raise Invalid(f"kind, source, run and each label are at most {NAME_MAX} characters without NUL")
    if len(labels) > LABELS_MAX:
        raise Invalid(f"a fragment has at most {LABELS_MAX} labels")
    if not 0 <= importance <= 1:
        raise Invalid(f"importance is a number from 0 to 1, not {importance}")


def encode_metadata(metadata: Metadata) -> str:
    """Encode metadata as it is stored. Raises Invalid."""
    text = to_json(dict(metadata))
    if len(text.encode()) > METADATA_MAX:
        raise Invalid(f"metadata is at most {METADATA_MAX} bytes of JSON")
    return text
