"""Walks through the graph: neighbours, paths, patterns (acts on a Store or Reader). Each is bounded, whatever the graph is.

A walk visits at most VISITED_MOST entities, and at most FAN_MOST relations of each, the oldest. `cut` says whether anything
was left out for that, so a partial answer never looks complete. Results are read lazily, a hop or a row at a time, since
all of them may not fit into memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from memory.errors import Invalid
from memory.graph import LIST_MAX, SQL, Entity, Ref, Relation, entity_of, find, relation_of
from memory.names import fold_name
from memory.store import Bindings, Reader

DEPTH_MAX: Final = 8
FAN_MOST: Final = 1_000
VISITED_MOST: Final = 10_000

Direction = Literal["out", "in", "both"]

_Came: TypeAlias = dict[int, list[tuple[int, int]]]
"""The entities that a search reached, each with the relations that led there and the entities at their other ends."""


class Hop(Struct, frozen=True, kw_only=True):
    """A followed relation, and the entity that it led to."""

    relation: Relation
    to: Entity


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a pattern: along at most `depth` relations of a kind ("" for any) to a matching entity."""

    kind: str = ""
    direction: Direction = "out"
    depth: int = 1
    type: str = ""
    name: str = ""


class Chain(Struct, frozen=True, kw_only=True):
    """Entities that match a pattern. labels: theirs, and those of all relations and entities on the way between them."""

    entities: tuple[Entity, ...]
    labels: tuple[str, ...]


class Found(Struct, frozen=True, kw_only=True):
    """The result of a walk. cut: whether it reached a bound, so that there may be more."""

    rows: Iterable[Chain] = ()
    paths: Iterable[tuple[Hop, ...]] = ()
    cut: bool = False


class _Place(NamedTuple):
    """An entity that a step of a pattern reached, and the relations that led there from the one before."""

    entity: int
    way: tuple[int, ...] = ()


def neighbours(
    store: Reader, space: str, ref: Ref, *, kind: str = "", direction: Direction = "both", at: int | None = None,
    most: int = 100,
) -> Iterator[Hop]:  # fmt: skip
    """Yield an entity's relations. at: only those that hold then, None for all that ever held. Raises Absent, Invalid."""
    if not 0 < most <= LIST_MAX:
        raise Invalid(f"a listing is of 1 to {LIST_MAX} relations, not {most}")
    start = find(store, space, ref)
    return (_hop(store, edge, to) for edge, to in islice(_edges(store, start.id, kind, direction, at, most), most))


def paths(
    store: Reader, space: str, source: Ref, target: Ref, *, kind: str = "", direction: Direction = "both",
    at: int | None = None, depth: int = 4, most: int = 10,
) -> Found:  # fmt: skip
    """Return the shortest paths between two entities, up to `depth` relations long, and at most `most` of them."""
    if not 0 < depth <= DEPTH_MAX or not 0 < most <= 100:
        raise Invalid(f"paths are of 1 to {DEPTH_MAX} relations, and 1 to 100 of them are asked for")
    start, goal = find(store, space, source).id, find(store, space, target).id
    came: _Came = {start: []}
    level, cut = [start], False
    fan = partial(_fan, store, kind=kind, direction=direction, at=at)
    for _ in range(depth):
        if goal in came or not level:
            break
        met, is_cut = _met(level, came, fan)
        came |= met
        level, cut = list(met), cut or is_cut
    if start == goal or goal not in came:
        return Found(cut=cut)
    ways = [tuple(reversed(way)) for way in _ways_back(came, goal, most)]
    return Found(paths=(tuple(_hop(store, edge, to) for edge, to in way) for way in ways), cut=cut)


def match(
    store: Reader, space: str, start: Step, steps: Sequence[Step], *, at: int | None = None, most: int = 100
) -> Found:
    """Return the chains of entities that match: one for `start`, then one for each step. Raises Invalid."""
    if not 0 < most <= LIST_MAX or len(steps) > DEPTH_MAX:
        raise Invalid(f"a pattern has at most {DEPTH_MAX} steps, and 1 to {LIST_MAX} answers are asked for")
    if any(not 0 < step.depth <= DEPTH_MAX for step in steps):
        raise Invalid(f"a step goes along 1 to {DEPTH_MAX} relations")
    rows: list[tuple[_Place, ...]] = [(_Place(first),) for first in _starts(store, space, start)]
    cut, looked = len(rows) > VISITED_MOST, 0
    for step in steps:
        longer: list[tuple[_Place, ...]] = []
        reached: dict[int, list[_Place]] = {}
        for row in rows[:VISITED_MOST]:
            here = row[-1].entity
            if here not in reached:
                reached[here], seen, was_cut = _reach(store, here, step, at, VISITED_MOST - looked)
                looked, cut = looked + seen, cut or was_cut
            longer.extend((*row, place) for place in reached[here][: VISITED_MOST + 1 - len(longer)])
            if len(longer) > VISITED_MOST:
                break
        cut = cut or len(longer) > VISITED_MOST
        rows = longer
    return Found(rows=_chains(store, rows[:most]), cut=cut or len(rows) > most)


def _hop(store: Reader, edge: int, to: int) -> Hop:
    return Hop(relation=relation_of(store, edge), to=entity_of(store, to))


def _chains(store: Reader, rows: Sequence[Sequence[_Place]]) -> Iterator[Chain]:
    """Yield the chains of entities, each with the labels of all that it was found by."""
    known: dict[int, set[str]] = {}
    for row in rows:
        entities = tuple(entity_of(store, place.entity) for place in row)
        labels = {label for one in entities for label in one.labels}
        for edge in (edge for place in row for edge in place.way):
            if edge not in known:
                told = store.each(SQL["labels_of"], {"relation": edge})
                known[edge] = {label for (raw,) in told for label in msgspec.json.decode(str(raw), type=list[str])}
            labels |= known[edge]
        yield Chain(entities=entities, labels=tuple(sorted(labels)))


def _starts(store: Reader, space: str, start: Step) -> Iterator[int]:
    if start.name:
        bindings: Bindings = {"space": space, "folded": fold_name(start.name), "type": start.type}
        yield from (int(row[0] or 0) for row in store.rows(SQL["by_name"], bindings))
        return
    bindings = {"space": space, "type": start.type, "most": VISITED_MOST + 1}
    yield from (int(row[0] or 0) for row in store.rows(SQL["of_type"], bindings))


def _reach(
    store: Reader, start: int, step: Step, at: int | None, most: int
) -> tuple[list[_Place], int, bool]:  # fmt: skip
    """The entities that fit a step from one on, how many were looked at, and whether there were more."""
    fitting: list[_Place] = []
    seen, level, cut = {start}, [_Place(start)], False
    for _ in range(step.depth):
        nearer, level = level, []
        for here in nearer:
            edges, is_cut = _fan(store, here.entity, kind=step.kind, direction=step.direction, at=at)
            cut = cut or is_cut
            for edge, to in edges:
                if to in seen:
                    continue
                if len(seen) > most:
                    return fitting, len(seen), True
                seen.add(to)
                level.append(_Place(to, (*here.way, edge)))
                if store.rows(SQL["fits"], {"id": to, "type": step.type, "folded": fold_name(step.name)}):
                    fitting.append(level[-1])
    return fitting, len(seen), cut


def _met(
    level: Iterable[int], came: _Came, fan: Callable[[int], tuple[list[tuple[int, int]], bool]]
) -> tuple[_Came, bool]:
    """What relations of these lead to that nothing led to before, and whether there is more."""
    met: _Came = {}
    cut = False
    for here in level:
        edges, is_cut = fan(here)
        cut = cut or is_cut
        for edge, to in edges:
            if to not in came:
                met.setdefault(to, []).append((edge, here))
        if len(came) + len(met) > VISITED_MOST:
            return met, True
    return met, cut


def _fan(
    store: Reader, entity: int, *, kind: str, direction: Direction, at: int | None
) -> tuple[list[tuple[int, int]], bool]:
    """The relations of an entity that may be followed, each with where it leads, and whether there are more."""
    edges = list(_edges(store, entity, kind, direction, at, FAN_MOST + 1))
    return edges[:FAN_MOST], len(edges) > FAN_MOST


def _edges(
    store: Reader, entity: int, kind: str, direction: Direction, at: int | None, most: int
) -> Iterator[tuple[int, int]]:
    """The relations of an entity that may be followed, each with where it leads."""
    bindings: Bindings = {"entity": entity, "kind": kind, "at": at, "most": most}
    known: set[int] = set()
    for way in ("out", "in"):
        if direction in (way, "both"):
            for edge, to in store.rows(SQL[way], bindings):
                if edge not in known:  # one from an entity to itself is found both ways
                    known.add(int(edge or 0))
                    yield int(edge or 0), int(to or 0)


def _ways_back(came: _Came, goal: int, most: int) -> list[list[tuple[int, int]]]:
    """Up to `most` ways from the goal back to where a search began: each relation with the entity it led to."""
    ways: list[list[tuple[int, int]]] = []
    open_ends: list[tuple[int, list[tuple[int, int]]]] = [(goal, [])]
    while open_ends and len(ways) < most:
        here, way = open_ends.pop()
        if not came[here]:
            ways.append(way)
        for edge, before in reversed(came[here]):
            open_ends.append((before, [*way, (edge, here)]))
    return ways
