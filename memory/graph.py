"""A graph of who and what there is, and what holds between them (acts on a Store).

An entity has a type and names; within a type a name, however it is spelled (memory/names.py), stands for one entity, so
saying the same twice makes no second one. A relation has a kind, a time in which it holds ([since, until), either may be
open), and evidence: who said so, with how much confidence. Two that are said of the same source and target for overlapping
times are one with more evidence; its confidence is 1 - (1 - a)(1 - b)…, the noisy-or of independent sources (Pearl,
Probabilistic Reasoning in Intelligent Systems, 1988, section 4.3.2).

A kind may be said to be single: then a source has one at a time, and two are a contradiction, which is kept, and shown with
both. Nothing decides between them but whoever ends one. Walks are in walks.py, merging in merging.py.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory.errors import ASTRAY, Absent, Conflict, Damaged, Invalid
from memory.filters import packed_labels
from memory.names import checked, folded
from memory.queries import queries
from memory.store import Bindings, Reader, Row, Store
from memory.times import counted

ALIASES_MAX: Final = 64
PROPERTIES_MAX: Final = 64 << 10
LIST_MAX: Final = 1_000
EVIDENCE_SHOWN: Final = 16
SQL: Final = queries("graph")
_LAST: Final = chr(0x10FFFF)

Properties = dict[str, object]


class Entity(Struct, frozen=True, kw_only=True):
    """Somebody or something. number: its id in this space; times in microseconds."""

    id: int
    number: int
    type: str
    name: str
    properties: Properties
    labels: tuple[str, ...]
    created: int
    changed: int
    aliases: tuple[str, ...] = ()


class Evidence(Struct, frozen=True, kw_only=True):
    """Who said that a relation holds, when, and how sure that is."""

    said: str
    confidence: float
    labels: tuple[str, ...]
    at: int


class Relation(Struct, frozen=True, kw_only=True):
    """What holds between two entities. contradicts: numbers of relations of which only one can be true at a time.

    evidence: the first EVIDENCE_SHOWN of it. confidence: how sure it is, all evidence together; labels: those of all that is
    told with it.
    """

    id: int
    number: int
    source: Entity
    kind: str
    target: Entity
    since: int | None
    until: int | None
    properties: Properties
    created: int
    changed: int
    evidence: tuple[Evidence, ...]
    confidence: float
    labels: tuple[str, ...]
    contradicts: tuple[int, ...] = ()


class Ref(Struct, frozen=True, kw_only=True):
    """An entity as a caller names it: by number, or by name, and type where several have that name."""

    number: int = 0
    name: str = ""
    type: str = ""


def put(
    store: Store, space: str, of_type: str, name: str, *, aliases: Sequence[str] = (), properties: Properties | None = None,
    labels: Sequence[str] = (),
) -> Entity:  # fmt: skip
    """The entity of this type and name, made if it is not there; aliases and properties are added to what it has.

    Raises Conflict for an alias that is another one's: merge them, if they are the same.
    """
    of_type, name = checked("a type", of_type, 64), checked("a name", name)
    _foldable(name)
    with store.write():
        found = store.rows(SQL["by_name"], {"space": space, "folded": folded(name), "type": of_type})
        if found:
            entity = entity_of(store, int(found[0][0] or 0))
            merged = {**entity.properties, **(properties or {})}
            told = packed_labels((*entity.labels, *labels))
            store.rows(
                SQL["change"], {"id": entity.id, "properties": packed(merged), "labels": told, "now": store.now()}
            )
            made = entity.id
        else:
            made = _add(store, space, of_type, name, properties or {}, labels)
        for alias in aliases:
            call(store, space, made, of_type, checked("an alias", alias))
        return entity_of(store, made)


def find(store: Reader, space: str, ref: Ref) -> Entity:
    """The entity that is meant. Raises Absent, and Conflict when several have the name."""
    if ref.number:
        rows = store.rows(SQL["by_number"], {"space": space, "number": ref.number})
        if not rows:
            raise Absent(f"there is no entity {ref.number} here")
        return entity_of(store, int(rows[0][0] or 0))
    rows = store.rows(SQL["by_name"], {"space": space, "folded": folded(ref.name), "type": ref.type})
    if not rows:
        raise Absent(f"there is no {ref.type or 'entity'} called {ref.name!r} here")
    if len(rows) > 1:
        types = ", ".join(str(row[1]) for row in rows)
        raise Conflict(f"{len(rows)} are called {ref.name!r}: say of which type ({types})")
    return entity_of(store, int(rows[0][0] or 0))


def listed(
    store: Reader, space: str, *, prefix: str = "", of_type: str = "", after: int = 0, most: int = 100
) -> Iterator[Entity]:
    """The entities whose names begin with a prefix, in the order of their folded names, beyond the one numbered `after`."""
    if not 0 < most <= LIST_MAX:
        raise Invalid(f"a listing is of 1 to {LIST_MAX} entities, not {most}")
    start, last = folded(prefix), ""
    if after:
        rows = store.rows(SQL["folded_of"], {"space": space, "number": after})
        if not rows:
            raise Absent(f"there is no entity {after} here")
        last = str(rows[0][0])
    bindings: Bindings = {
        "space": space, "type": of_type, "prefix": start, "end": start + _LAST if start else "", "after": last,
        "number": after, "most": most,
    }  # fmt: skip
    return (entity_of(store, int(row[0] or 0)) for row in store.rows(SQL["list"], bindings))


def relate(
    store: Store, space: str, source: Ref, kind: str, target: Ref, *, said: str, confidence: float = 1.0,
    since: int | None = None, until: int | None = None, properties: Properties | None = None, single: bool = False,
    labels: Sequence[str] = (),
) -> Relation:  # fmt: skip
    """Say that something holds; what was said before for a time that overlaps becomes surer. Raises Absent, Invalid.

    said: where it is from; the same source's word counts once. single: this kind holds for one target at a time.
    """
    kind, said = checked("a kind of relation", kind, 128), checked("where it is from", said, 1_024)
    if not 0.0 < confidence <= 1.0:
        raise Invalid("confidence is above 0 and at most 1")
    if since is not None and until is not None and since >= until:
        raise Invalid("a relation ends after it begins")
    with store.write():
        ends = {"source": find(store, space, source).id, "target": find(store, space, target).id}
        times: dict[str, int | None] = {"since": since, "until": until}
        if single:
            store.rows(SQL["one_at_a_time"], {"space": space, "kind": kind})
        same = store.rows(SQL["same_relation"], {**ends, **times, "kind": kind, "id": 0})
        if same:
            made = int(same[0][0] or 0)
            store.rows(SQL["widen"], {"id": made, **times, "now": store.now()})
            if properties:
                now = relation_of(store, made)
                alter(store, now, now.until, {**now.properties, **properties})
        else:
            number = count(store, space, "relation")
            (row,) = store.rows(
                SQL["relate"],
                {"space": space, "number": number, **ends, **times, "kind": kind, "properties": packed(properties or {}),
                 "now": store.now()},
            )  # fmt: skip
            made = int(row[0] or 0)
        say(store, made, said, confidence, labels)
        if same:
            fold(store, made)
        return relation_of(store, made)


def end(store: Store, space: str, number: int, until: int | None, labels: Sequence[str] = ()) -> Relation:
    """Let a relation hold no more from a moment on; one that ended before that stays as it is. Raises Absent, Invalid."""
    with store.write():
        found = numbered(store, space, number)
        moment = store.now() if until is None else until
        moment = moment if found.until is None else min(moment, found.until)
        if found.since is not None and moment <= found.since:
            raise Invalid("a relation ends after it begins: forget one that never held")
        alter(store, found, moment, found.properties)
        said = found.evidence[0]
        say(store, found.id, said.said, said.confidence, labels)
        fold(store, found.id)
        return relation_of(store, found.id)


def forget(store: Store, space: str, ref: Ref) -> Entity:
    """Delete an entity with its names and relations. Raises Absent."""
    with store.write():
        found = find(store, space, ref)
        store.scrub()
        store.rows(SQL["forget"], {"id": found.id})
        return found


def unrelate(store: Store, space: str, number: int) -> None:
    """Delete a relation, as if it had never been said. Raises Absent."""
    with store.write():
        store.scrub()
        store.rows(SQL["unrelate"], {"id": numbered(store, space, number).id})


def numbered(store: Reader, space: str, number: int) -> Relation:
    """The relation of that number. Raises Absent."""
    rows = store.rows(SQL["relation_by_number"], {"space": space, "number": number})
    if not rows:
        raise Absent(f"there is no relation {number} here")
    return relation_of(store, int(rows[0][0] or 0))


def contradictions(
    store: Reader, space: str, *, after: tuple[int, int] = (0, 0), most: int = 100
) -> Iterator[tuple[Relation, Relation]]:
    """Pairs of relations of which only one can be true at a time, by their numbers, beyond the pair `after`."""
    if not 0 < most <= LIST_MAX:
        raise Invalid(f"a listing is of 1 to {LIST_MAX} pairs, not {most}")
    rows = store.rows(
        SQL["contradictions"], {"space": space, "after": after[0], "other": after[1], "most": most}
    )  # fmt: skip
    return ((relation_of(store, int(one or 0)), relation_of(store, int(other or 0))) for one, other in rows)


# what the parts of the graph share ------------------------------------------------------------------------------------


def entity_of(store: Reader, row_id: int) -> Entity:
    """An entity by its row. Raises Damaged where there is none."""
    row = _named(store, "entity", row_id)
    id_, number, of_type, name, properties, labels, created, changed, aliases = row
    return msgspec.convert(
        {
            "id": id_, "number": number, "type": of_type, "name": name, "properties": unpacked(properties),
            "labels": msgspec.json.decode(str(labels)), "created": created, "changed": changed,
            "aliases": msgspec.json.decode(str(aliases)),
        },
        Entity,
    )  # fmt: skip


def relation_of(store: Reader, row_id: int) -> Relation:
    """A relation by its row, with its evidence and what contradicts it. Raises Damaged where there is none."""
    row = _named(store, "relation", row_id)
    id_, number, source, kind, target, since, until, properties, created, changed = row
    ends = entity_of(store, int(source or 0)), entity_of(store, int(target or 0))
    marks, doubt = {label for one in ends for label in one.labels}, 1.0
    for confidence, labels in store.each(SQL["weights"], {"relation": row_id}):
        doubt *= 1.0 - float(confidence or 0)
        marks.update(msgspec.json.decode(str(labels), type=list[str]))
    return msgspec.convert(
        {
            "id": id_, "number": number, "source": ends[0], "kind": kind, "target": ends[1], "since": since, "until": until,
            "properties": unpacked(properties), "created": created, "changed": changed,
            "evidence": evidence(store, row_id, EVIDENCE_SHOWN), "confidence": round(1.0 - doubt, 6),
            "labels": tuple(sorted(marks)),
            "contradicts": [row[0] for row in store.rows(SQL["contradicting"], {"id": row_id})],
        },
        Relation,
    )  # fmt: skip


def evidence(store: Reader, relation: int, most: int = -1) -> tuple[Evidence, ...]:
    """Who says that a relation holds, in the order in which they said so: all of them, or the first `most`."""
    return tuple(
        Evidence(
            said=str(said), confidence=float(confidence or 0), at=int(at or 0),
            labels=tuple(msgspec.json.decode(str(labels), type=list[str])),
        )
        for said, confidence, labels, at in store.rows(SQL["evidence"], {"relation": relation, "most": most})
    )  # fmt: skip


def count(store: Store, space: str, what: str) -> int:
    """The next number of its sort in a space, which nothing else there ever gets."""
    ((last,),) = store.rows(SQL["count"], {"space": space, "what": what})
    return counted(last)


def call(store: Store, space: str, entity: int, of_type: str, name: str) -> None:
    """Let an entity have a name besides. Raises Conflict when it is another one's of that type."""
    _foldable(name)
    found = store.rows(SQL["by_name"], {"space": space, "folded": folded(name), "type": of_type})
    if not found:
        if len(store.rows(SQL["names_of"], {"entity": entity})) > ALIASES_MAX:
            raise Invalid(f"an entity has at most {ALIASES_MAX} aliases")
        store.rows(
            SQL["call"], {"space": space, "folded": folded(name), "type": of_type, "name": name, "entity": entity}
        )  # fmt: skip
    elif found[0][0] != entity:
        other = entity_of(store, int(found[0][0] or 0)).number
        raise Conflict(f"{name!r} is entity {other}: merge them, if they are the same")


def say(store: Store, relation: int, said: str, confidence: float, labels: Sequence[str]) -> None:
    """Add to a relation's evidence; what the same source said before is replaced, its labels stay."""
    before = store.rows(SQL["said_labels"], {"relation": relation, "said": said})
    kept = msgspec.json.decode(str(before[0][0]), type=list[str]) if before else []
    store.rows(
        SQL["say"],
        {"relation": relation, "said": said, "confidence": confidence, "labels": packed_labels((*kept, *labels)),
         "now": store.now()},
    )  # fmt: skip


def alter(store: Store, relation: Relation, until: int | None, properties: Properties) -> None:
    """Give a relation another end, and properties."""
    store.rows(
        SQL["alter"],
        {"id": relation.id, "since": relation.since, "until": until, "properties": packed(properties), "now": store.now()},
    )  # fmt: skip


def fold(store: Store, row: int) -> None:
    """Make one of a relation and those that say the same for times that overlap: it stays, with the evidence of all."""
    while same := store.rows(SQL["same_as"], {"id": row}):
        one = relation_of(store, row)
        other = relation_of(store, int(same[0][0] or 0))
        store.rows(SQL["widen"], {"id": row, "since": other.since, "until": other.until, "now": store.now()})
        wider = relation_of(store, row)
        alter(store, wider, wider.until, {**other.properties, **one.properties})
        sure = {said.said: said.confidence for said in evidence(store, one.id)}
        for said in evidence(store, other.id):
            say(store, row, said.said, max(said.confidence, sure.get(said.said, 0.0)), said.labels)
        store.rows(SQL["unrelate"], {"id": other.id})


def packed(properties: Properties) -> bytes:
    """Properties as they are stored. Raises Invalid."""
    try:
        raw = msgspec.msgpack.encode(properties)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Invalid(f"these properties cannot be stored: {error}") from None
    if len(raw) > PROPERTIES_MAX:
        raise Invalid(f"properties take at most {PROPERTIES_MAX} bytes")
    return raw


def unpacked(raw: object) -> Properties:
    """Properties as they were given."""
    assert isinstance(raw, bytes)
    return msgspec.msgpack.decode(raw, type=dict[str, object])


def _add(
    store: Store, space: str, of_type: str, name: str, properties: Properties, labels: Sequence[str]
) -> int:  # fmt: skip
    (row,) = store.rows(
        SQL["add"],
        {"space": space, "number": count(store, space, "entity"), "type": of_type, "name": name, "folded": folded(name),
         "properties": packed(properties), "labels": packed_labels(labels), "now": store.now()},
    )  # fmt: skip
    call(store, space, int(row[0] or 0), of_type, name)
    return int(row[0] or 0)


def _named(store: Reader, query: str, row_id: int) -> Row:
    """The row that an index or another row names."""
    rows = store.rows(SQL[query], {"id": row_id})
    if not rows:
        raise Damaged(ASTRAY)
    return rows[0]


def _foldable(name: str) -> None:
    if not folded(name):
        raise Invalid("a name has a character that can be compared")
