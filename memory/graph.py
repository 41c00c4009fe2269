"""A graph of entities and the relations between them (acts on a Store).

An entity has a type and names; within a type, a name in any spelling (memory/names.py) identifies one entity, so storing
one twice makes no second. A relation has a kind, a time in which it holds ([since, until), either may be open), and
evidence: sources, each with a confidence. Relations of the same kind, source and target at overlapping times become one
with more evidence; its confidence is 1 - (1 - a)(1 - b)…, the noisy-or of independent sources (Pearl, Probabilistic
Reasoning in Intelligent Systems, 1988, section 4.3.2).

A kind may be declared single: then a source has at most one target at a time, and two are a contradiction, which is kept
and shown with both. It is resolved only when a caller ends one of them. Walks are in walks.py, merging in merging.py.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from memory.errors import ASTRAY, Absent, Conflict, Damaged, Invalid
from memory.filters import encode_labels
from memory.names import check_text, fold_name
from memory.queries import queries
from memory.store import Bindings, Reader, Row, Store
from memory.times import usable_number

ALIASES_MAX: Final = 64
PROPERTIES_MAX: Final = 64 << 10
LIST_MAX: Final = 1_000
EVIDENCE_SHOWN: Final = 16
SQL: Final = queries("graph")
_LAST: Final = chr(0x10FFFF)

Properties = dict[str, object]


class Entity(Struct, frozen=True, kw_only=True):
    """An entity. id: of its row; number: within its space; times in microseconds."""

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
    """One source's evidence for a relation. said: the source; at: when, in microseconds."""

    said: str
    confidence: float
    labels: tuple[str, ...]
    at: int


class Relation(Struct, frozen=True, kw_only=True):
    """A relation between two entities. contradicts: numbers of the relations that cannot hold at the same time.

    evidence: the first EVIDENCE_SHOWN of it. confidence: of all evidence together; labels: of its entities and evidence.
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
    """A caller's reference to an entity: by number, or by name, with a type if several have that name."""

    number: int = 0
    name: str = ""
    type: str = ""


def put(
    store: Store, space: str, of_type: str, name: str, *, aliases: Sequence[str] = (), properties: Properties | None = None,
    labels: Sequence[str] = (),
) -> Entity:  # fmt: skip
    """Return the entity of this type and name, created if necessary, with these aliases and properties added.

    Raises Conflict for an alias of another entity: merge them if they are the same.
    """
    of_type, name = check_text("a type", of_type, 64), check_text("a name", name)
    _check_foldable(name)
    with store.write():
        found = store.rows(SQL["by_name"], {"space": space, "folded": fold_name(name), "type": of_type})
        if found:
            entity = entity_of(store, int(found[0][0] or 0))
            merged = {**entity.properties, **(properties or {})}
            told = encode_labels((*entity.labels, *labels))
            store.rows(
                SQL["change"],
                {"id": entity.id, "properties": pack(merged), "labels": told, "now": store.now()},
            )
            made = entity.id
        else:
            made = _add(store, space, of_type, name, properties or {}, labels)
        for alias in aliases:
            add_name(store, space, made, of_type, check_text("an alias", alias))
        return entity_of(store, made)


def find(store: Reader, space: str, ref: Ref) -> Entity:
    """Return the entity of a reference. Raises Absent, and Conflict if several have the name."""
    if ref.number:
        rows = store.rows(SQL["by_number"], {"space": space, "number": ref.number})
        if not rows:
            raise Absent(f"there is no entity {ref.number} here")
        return entity_of(store, int(rows[0][0] or 0))
    rows = store.rows(SQL["by_name"], {"space": space, "folded": fold_name(ref.name), "type": ref.type})
    if not rows:
        raise Absent(f"there is no {ref.type or 'entity'} called {ref.name!r} here")
    if len(rows) > 1:
        types = ", ".join(str(row[1]) for row in rows)
        raise Conflict(f"{len(rows)} are called {ref.name!r}: say of which type ({types})")
    return entity_of(store, int(rows[0][0] or 0))


def listed(
    store: Reader, space: str, *, prefix: str = "", of_type: str = "", after: int = 0, most: int = 100
) -> Iterator[Entity]:
    """Yield the entities whose names begin with a prefix, sorted by folded name, after the one numbered `after`."""
    if not 0 < most <= LIST_MAX:
        raise Invalid(f"a listing is of 1 to {LIST_MAX} entities, not {most}")
    start, last = fold_name(prefix), ""
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
    """Store a relation; one stored before at an overlapping time gains evidence. Raises Absent, Invalid.

    said: the source, which counts once per relation. single: relations of this kind have one target at a time.
    """
    kind, said = check_text("a kind of relation", kind, 128), check_text("where it is from", said, 1_024)
    if not 0.0 < confidence <= 1.0:
        raise Invalid("confidence is above 0 and at most 1")
    if since is not None and until is not None and since >= until:
        raise Invalid("a relation ends after it begins")
    with store.write():
        ends = {"source": find(store, space, source).id, "target": find(store, space, target).id}
        times: dict[str, int | None] = {"since": since, "until": until}
        if single:
            store.rows(SQL["make_single"], {"space": space, "kind": kind})
        same = store.rows(SQL["same_relation"], {**ends, **times, "kind": kind, "id": 0})
        if same:
            made = int(same[0][0] or 0)
            store.rows(SQL["widen_period"], {"id": made, **times, "now": store.now()})
            if properties:
                now = relation_of(store, made)
                update_relation(store, now, now.until, {**now.properties, **properties})
        else:
            number = next_number(store, space, "relation")
            (row,) = store.rows(
                SQL["relate"],
                {"space": space, "number": number, **ends, **times, "kind": kind, "properties": pack(properties or {}),
                 "now": store.now()},
            )  # fmt: skip
            made = int(row[0] or 0)
        add_evidence(store, made, said, confidence, labels)
        if same:
            merge_same(store, made)
        return relation_of(store, made)


def end(store: Store, space: str, number: int, until: int | None, labels: Sequence[str] = ()) -> Relation:
    """End a relation at a time, None for now; one that ended earlier keeps its end. Raises Absent, Invalid."""
    with store.write():
        found = find_relation(store, space, number)
        moment = store.now() if until is None else until
        moment = moment if found.until is None else min(moment, found.until)
        if found.since is not None and moment <= found.since:
            raise Invalid("a relation ends after it begins: forget one that never held")
        update_relation(store, found, moment, found.properties)
        said = found.evidence[0]
        add_evidence(store, found.id, said.said, said.confidence, labels)
        merge_same(store, found.id)
        return relation_of(store, found.id)


def forget(store: Store, space: str, ref: Ref) -> Entity:
    """Delete an entity with its names and relations. Raises Absent."""
    with store.write():
        found = find(store, space, ref)
        store.scrub()
        store.rows(SQL["forget"], {"id": found.id})
        return found


def unrelate(store: Store, space: str, number: int) -> None:
    """Delete a relation, as if it had never been stored. Raises Absent."""
    with store.write():
        store.scrub()
        store.rows(SQL["unrelate"], {"id": find_relation(store, space, number).id})


def find_relation(store: Reader, space: str, number: int) -> Relation:
    """Return the relation of that number. Raises Absent."""
    rows = store.rows(SQL["relation_by_number"], {"space": space, "number": number})
    if not rows:
        raise Absent(f"there is no relation {number} here")
    return relation_of(store, int(rows[0][0] or 0))


def contradictions(
    store: Reader, space: str, *, after: tuple[int, int] = (0, 0), most: int = 100
) -> Iterator[tuple[Relation, Relation]]:
    """Yield the pairs of contradicting relations, sorted by number, after the pair `after`."""
    if not 0 < most <= LIST_MAX:
        raise Invalid(f"a listing is of 1 to {LIST_MAX} pairs, not {most}")
    rows = store.rows(
        SQL["contradictions"], {"space": space, "after": after[0], "other": after[1], "most": most}
    )  # fmt: skip
    return ((relation_of(store, int(one or 0)), relation_of(store, int(other or 0))) for one, other in rows)


# what the parts of the graph share ------------------------------------------------------------------------------------


def entity_of(store: Reader, row_id: int) -> Entity:
    """Return an entity by its row's id. Raises Damaged if there is none."""
    row = _row_named(store, "entity", row_id)
    id_, number, of_type, name, properties, labels, created, changed, aliases = row
    return msgspec.convert(
        {
            "id": id_, "number": number, "type": of_type, "name": name, "properties": unpack(properties),
            "labels": msgspec.json.decode(str(labels)), "created": created, "changed": changed,
            "aliases": msgspec.json.decode(str(aliases)),
        },
        Entity,
    )  # fmt: skip


def relation_of(store: Reader, row_id: int) -> Relation:
    """Return a relation by its row's id, with its evidence and contradictions. Raises Damaged if there is none."""
    row = _row_named(store, "relation", row_id)
    id_, number, source, kind, target, since, until, properties, created, changed = row
    ends = entity_of(store, int(source or 0)), entity_of(store, int(target or 0))
    marks, doubt = {label for one in ends for label in one.labels}, 1.0
    for confidence, labels in store.each(SQL["weights"], {"relation": row_id}):
        doubt *= 1.0 - float(confidence or 0)
        marks.update(msgspec.json.decode(str(labels), type=list[str]))
    return msgspec.convert(
        {
            "id": id_, "number": number, "source": ends[0], "kind": kind, "target": ends[1], "since": since, "until": until,
            "properties": unpack(properties), "created": created, "changed": changed,
            "evidence": evidence(store, row_id, EVIDENCE_SHOWN), "confidence": round(1.0 - doubt, 6),
            "labels": tuple(sorted(marks)),
            "contradicts": [row[0] for row in store.rows(SQL["contradicting"], {"id": row_id})],
        },
        Relation,
    )  # fmt: skip


def evidence(store: Reader, relation: int, most: int = -1) -> tuple[Evidence, ...]:
    """Return the evidence of a relation, oldest first: all, or the first `most`."""
    return tuple(
        Evidence(
            said=str(said), confidence=float(confidence or 0), at=int(at or 0),
            labels=tuple(msgspec.json.decode(str(labels), type=list[str])),
        )
        for said, confidence, labels, at in store.rows(SQL["evidence"], {"relation": relation, "most": most})
    )  # fmt: skip


def next_number(store: Store, space: str, what: str) -> int:
    """Return the next number of a sort (`entity`, `relation`) in a space. No number is given twice."""
    ((last,),) = store.rows(SQL["count"], {"space": space, "what": what})
    return usable_number(last)


def add_name(store: Store, space: str, entity: int, of_type: str, name: str) -> None:
    """Add a name to an entity. Raises Conflict if another entity of that type has it."""
    _check_foldable(name)
    found = store.rows(SQL["by_name"], {"space": space, "folded": fold_name(name), "type": of_type})
    if not found:
        if len(store.rows(SQL["names_of"], {"entity": entity})) > ALIASES_MAX:
            raise Invalid(f"an entity has at most {ALIASES_MAX} aliases")
        store.rows(
            SQL["add_name"], {"space": space, "folded": fold_name(name), "type": of_type, "name": name, "entity": entity}
        )  # fmt: skip
    elif found[0][0] != entity:
        other = entity_of(store, int(found[0][0] or 0)).number
        raise Conflict(f"{name!r} is entity {other}: merge them, if they are the same")


def add_evidence(store: Store, relation: int, said: str, confidence: float, labels: Sequence[str]) -> None:
    """Add evidence to a relation. Earlier evidence of the same source is replaced, but its labels stay."""
    before = store.rows(SQL["said_labels"], {"relation": relation, "said": said})
    kept = msgspec.json.decode(str(before[0][0]), type=list[str]) if before else []
    store.rows(
        SQL["put_evidence"],
        {"relation": relation, "said": said, "confidence": confidence, "labels": encode_labels((*kept, *labels)),
         "now": store.now()},
    )  # fmt: skip


def update_relation(store: Store, relation: Relation, until: int | None, properties: Properties) -> None:
    """Set a relation's end and properties."""
    store.rows(
        SQL["alter"],
        {"id": relation.id, "since": relation.since, "until": until, "properties": pack(properties), "now": store.now()},
    )  # fmt: skip


def merge_same(store: Store, row: int) -> None:
    """Merge into a relation all equal ones at overlapping times, with their evidence."""
    while same := store.rows(SQL["same_as"], {"id": row}):
        one = relation_of(store, row)
        other = relation_of(store, int(same[0][0] or 0))
        store.rows(SQL["widen_period"], {"id": row, "since": other.since, "until": other.until, "now": store.now()})
        wider = relation_of(store, row)
        update_relation(store, wider, wider.until, {**other.properties, **one.properties})
        sure = {said.said: said.confidence for said in evidence(store, one.id)}
        for said in evidence(store, other.id):
            add_evidence(store, row, said.said, max(said.confidence, sure.get(said.said, 0.0)), said.labels)
        store.rows(SQL["unrelate"], {"id": other.id})


def pack(properties: Properties) -> bytes:
    """Encode properties as stored. Raises Invalid."""
    try:
        raw = msgspec.msgpack.encode(properties)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Invalid(f"these properties cannot be stored: {error}") from None
    if len(raw) > PROPERTIES_MAX:
        raise Invalid(f"properties take at most {PROPERTIES_MAX} bytes")
    return raw


def unpack(raw: object) -> Properties:
    """Decode stored properties."""
    assert isinstance(raw, bytes)
    return msgspec.msgpack.decode(raw, type=dict[str, object])


def _add(
    store: Store, space: str, of_type: str, name: str, properties: Properties, labels: Sequence[str]
) -> int:  # fmt: skip
    (row,) = store.rows(
        SQL["add"],
        {"space": space, "number": next_number(store, space, "entity"), "type": of_type, "name": name,
         "folded": fold_name(name), "properties": pack(properties), "labels": encode_labels(labels), "now": store.now()},
    )  # fmt: skip
    add_name(store, space, int(row[0] or 0), of_type, name)
    return int(row[0] or 0)


def _row_named(store: Reader, query: str, row_id: int) -> Row:
    """Return the row that an index or another row refers to. Raises Damaged if there is none."""
    rows = store.rows(SQL[query], {"id": row_id})
    if not rows:
        raise Damaged(ASTRAY)
    return rows[0]


def _check_foldable(name: str) -> None:
    if not fold_name(name):
        raise Invalid("a name has a character that can be compared")
