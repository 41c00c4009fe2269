"""Fragments: texts to be recalled. Store, get, update, forget, list (acts on a Store).

A fragment has a number within its space. Storing what says the same as a live fragment of the same kind and metadata
(memory/sameness.py) merges: that fragment keeps its text, and gets the labels, the origin and the greater importance and
time of the new one. A fragment that `supersedes` another takes its place: the older one is recalled no more and stays in
history, as does what consolidation archives. `forget` removes a fragment whole, in history too.

What is stored is on the disk and is found by its words when the call returns; its vector comes later (memory/vectors.py).
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from memory import spaces
from memory.errors import ASTRAY, Absent, Conflict, Damaged, Invalid
from memory.filters import NONE, Filters, Metadata, Scalar, bindings, conditioned, encoded, labels_of, packed_labels
from memory.indexing import index, speak, unindex
from memory.queries import queries
from memory.sameness import sameness
from memory.spaces import Space
from memory.store import Binding, Reader, Row, Store
from memory.times import COUNT_LAST, check_times, counted
from memory.words import language_of

TEXT_MAX: Final = 768 << 10
"""Bytes of a text in UTF-8: so that it fits into a reply with all that is said of it."""

NAME_MAX: Final = 1_024
"""Characters of a kind, source or run."""

ORIGINS_SHOWN: Final = 16
"""Places that a fragment is told with, of all that it came from."""

METADATA_MAX: Final = 1 << 16
"""Bytes of metadata as JSON."""

LABELS_MAX: Final = 64
LIST_MAX: Final = 1_000
_SQL: Final = queries("fragments")


class New(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to be stored. time: microseconds since 1970 of what it tells of, else now; importance: 0 to 1.

    source: where it was heard; run, entry: the run and the log's entry that it came from. All three are what the caller says;
    call: the kernel's number of the call, by which the log knows whose run made it; 0 for none.
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
    """What to change in a fragment; None leaves as it is. Labels are only added to: they say where words came from."""

    text: str | None = None
    kind: str | None = None
    time: int | None = None
    importance: float | None = None
    labels: tuple[str, ...] = ()
    metadata: dict[str, object] | None = None


class Origin(Struct, frozen=True, kw_only=True):
    """One place where a fragment came from; call: the number of the call that first said so, 0 for none."""

    source: str
    run: str
    entry: int | None
    time: int
    call: int = 0


class Fragment(Struct, frozen=True, kw_only=True):
    """A fragment as it is. seen: how often it was stored; uses, used: how often and when last it was of use.

    origins: ORIGINS_SHOWN of them, the last.
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
    """Which fragment it is, and whether it was there already. labels: of what was there, which that tells of."""

    number: int
    merged: bool
    labels: tuple[str, ...] = ()


def add(store: Store, space: str, new: New, *, supersedes: int | None = None) -> Stored:
    """Store a text. Raises Invalid; Absent and Conflict for what it supersedes."""
    check(new.text, (new.kind, new.source, new.run), new.importance, new.labels)
    check_times(new.time)
    if new.entry is not None and not 0 <= new.entry <= COUNT_LAST:
        raise Invalid(f"an entry's number goes from 0 to {COUNT_LAST}")
    metadata = told_metadata(new.metadata)
    with store.write():
        place = spaces.opened(store, space)
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
    """The fragment of this number, in history too. Raises Absent."""
    rows = store.rows(_SQL["get"], {"id": _row(spaces.found(store, space), number)})
    if not rows:
        raise _absent(number)
    return fragment(store, rows[0])


def update(store: Store, space: str, number: int, changes: Changes) -> Fragment:
    """Change a live fragment in place, to mend it; what became untrue is superseded. Raises Absent, Conflict, Invalid."""
    check_times(changes.time)
    with store.write():
        place = spaces.found(store, space)
        live = _live(store, place, number)
        row, now = _ident(live), fragment(store, live)
        text = now.text if changes.text is None else changes.text
        kind = now.kind if changes.kind is None else changes.kind
        importance = now.importance if changes.importance is None else changes.importance
        check(text, (kind,), importance, changes.labels)
        labels = (*now.labels, *changes.labels)
        metadata = told_metadata(now.metadata if changes.metadata is None else changes.metadata)
        same = sameness(text, str(place.id), kind, metadata)
        if (rows := store.rows(_SQL["same"], {"sameness": same})) and rows[0][0] != row:
            raise Conflict(f"fragment {spaces.number(int(str(rows[0][0])))} says the same already: forget one of them")
        language = language_of(text)
        values: dict[str, Binding] = {
            "id": row, "text": text, "kind": kind, "importance": importance, "labels": packed_labels(labels),
            "now": store.now(), "time": now.time if changes.time is None else changes.time, "metadata": metadata,
            "language": language, "sameness": same,
        }  # fmt: skip
        store.rows(_SQL["change"], values)
        if text != now.text:
            unindex(store, place, row)
            index(store, place, row, text, language)
            speak(store, place, language)
        return get(store, space, number)


def forget(store: Store, space: str, number: int) -> None:
    """Remove a fragment, its origins, chunks, words and vectors. Raises Absent."""
    with store.write():
        place = spaces.found(store, space)
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
    """Fragments in the order of their numbers, from beyond `after` on; `history`: those that are recalled no more, too."""
    if not 0 < most <= LIST_MAX:
        raise Invalid(f"a listing is of 1 to {LIST_MAX} fragments, not {most}")
    place = spaces.found(store, space)
    values: dict[str, Binding] = {
        "space": place.id, "first": place.first, "after": _row(place, after), "last": place.last, "most": most,
        "history": history, **bindings(filters),
    }  # fmt: skip
    return fragments(store, store.rows(conditioned(_SQL["list"], _SQL, filters), values))


def labels(store: Reader, space: str) -> set[str]:
    """Those of every fragment of a space, its history too."""
    place = spaces.found(store, space)
    rows = store.rows(_SQL["labels"], {"first": place.first, "last": place.last})
    return {label for (told,) in rows for label in msgspec.json.decode(str(told), type=list[str])}


def use(store: Store, space: str, numbers: tuple[int, ...]) -> None:
    """Note that these were of use now: what is used is kept longer (memory/fading.py). What is not there is passed over.

    Raises Invalid for more than LIST_MAX.
    """
    if len(numbers) > LIST_MAX:
        raise Invalid(f"at most {LIST_MAX} fragments are told to have been of use together")
    with store.write():
        place = spaces.found(store, space)
        for number in dict.fromkeys(numbers):
            store.rows(_SQL["used"], {"id": _row(place, number), "now": store.now()})


def named(store: Reader, ident: int) -> Row:
    """The row of a fragment that an index names. Raises Damaged where there is none."""
    rows = store.rows(_SQL["get"], {"id": ident})
    if not rows:
        raise Damaged(ASTRAY)
    return rows[0]


def fragment(store: Reader, row: Row, most: int = ORIGINS_SHOWN) -> Fragment:
    """A row of `get` or `list` with its origins, the last `most` of them; -1 for all."""
    (found,) = fragments(store, [row], most)
    return found


def fragments(store: Reader, rows: Sequence[Row], most: int = ORIGINS_SHOWN) -> list[Fragment]:
    """Rows of `get` or `list`, each as fragment() gives it; one look finds the origins of all."""
    origins: dict[object, list[object]] = {row[0]: [] for row in rows}
    asked: dict[str, Binding] = {"fragments": encoded(list(origins)), "most": most}
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
    found["labels"], found["metadata"] = labels_of(str(row[5])), msgspec.json.decode(str(row[6]))
    found["origins"] = origins
    return msgspec.convert(found, Fragment)


def _insert(store: Store, place: Space, new: New, same: bytes, metadata: str) -> int:
    ((serial,),) = store.rows(_SQL["next_fragment"], {"space": place.id})
    row = place.first + counted(serial, spaces.NUMBER_LAST)
    language = language_of(new.text)
    now = store.now()
    values: dict[str, Binding] = {
        "id": row, "text": new.text, "kind": new.kind, "time": now if new.time is None else new.time,
        "importance": new.importance, "labels": packed_labels(new.labels), "metadata": metadata, "language": language,
        "sameness": same, "now": now,
    }  # fmt: skip
    store.rows(_SQL["insert"], values)
    index(store, place, row, new.text, language)
    speak(store, place, language)
    return row


def _merge(store: Store, row: int, new: New) -> tuple[str, ...]:
    """Add to a fragment what is new of one that says the same; the labels that it had."""
    labels = msgspec.json.decode(str(named(store, row)[5]), type=list[str])
    now = store.now()
    values: dict[str, Binding] = {
        "id": row, "importance": new.importance, "time": now if new.time is None else new.time,
        "labels": packed_labels((*labels, *new.labels)), "now": now,
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
    """The row of a fragment that has not been superseded or archived."""
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
    """The id of a row of `get` or `list`."""
    return int(str(row[0]))


def _row(place: Space, number: int) -> int:
    return place.first + number if 0 <= number < spaces.NUMBERS else place.last


def _absent(number: int) -> Absent:
    return Absent(f"there is no fragment {number} here")


def check(text: str, names: tuple[str, ...], importance: float, labels: tuple[str, ...]) -> None:
    """Raise Invalid for what no fragment can have. names: kind, source, run, and what else is a short text."""
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


def told_metadata(metadata: Metadata) -> str:
    """Metadata as it is kept. Raises Invalid."""
    text = encoded(dict(metadata))
    if len(text.encode()) > METADATA_MAX:
        raise Invalid(f"metadata is at most {METADATA_MAX} bytes of JSON")
    return text
