"""The graph, as calls (acts; thin): memory.graph.*. memory/graph.py defines entities, relations and walks.

An entity is given by its number, its name, or a table of name and type.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final, TypeVar

import msgspec

from memory import graph, merging, walks
from memory.errors import Invalid
from memory.graph import Entity, Ref, Relation
from memory.store import Reader
from memory.walks import Direction, Found, Hop, Step
from memory_desk import Answer, Desk, Fitted, as_failures, micros, moment, take_fitting
from runtime import Call

T = TypeVar("T")

UNSAID: Final = "the caller"
"""The source of a relation if the caller names none; all such statements count as one source."""


class Graph(Desk):
    """Provides memory.graph.*."""

    async def graph_put(
        self, call: Call, type: str, name: str, aliases: Sequence[object] = (),  # noqa: A002 - as callers say it
        properties: dict[str, object] | None = None,
    ) -> Answer:  # fmt: skip
        """memory.graph.put: adds an entity, or adds to an existing one."""
        others = _read(aliases, tuple[str, ...], "aliases is a list of names")
        made = await self.writing(
            call,
            lambda store, space: graph.put(
                store, space, type, name, aliases=others, properties=properties, labels=tuple(call.labels)
            ),
        )
        call.add_labels(*made.labels)
        return _entity(made)

    async def graph_get(self, call: Call, entity: object) -> Answer:
        """memory.graph.get: one entity."""
        ref = _ref(entity)
        found = await self.reading(call, lambda reader, space: graph.find(reader, space, ref))
        call.add_labels(*found.labels)
        return _entity(found)

    async def graph_list(
        self, call: Call, prefix: str = "", type: str = "", after: int = 0, most: int = 100  # noqa: A002 - as above
    ) -> Answer:  # fmt: skip
        """memory.graph.list: entities by prefix and type."""
        shown, is_cut = await self.listing(
            call,
            lambda reader, space: (
                (_entity(one), one.labels)
                for one in graph.listed(reader, space, prefix=prefix, of_type=type, after=after, most=most)
            ),
        )
        return {"entities": shown, "more": is_cut or len(shown) == most}

    async def graph_relate(
        self, call: Call, source: object, kind: str, target: object, said: str = "", confidence: float = 1.0,
        since: str | None = None, until: str | None = None, properties: dict[str, object] | None = None,
        single: bool = False,
    ) -> Answer:  # fmt: skip
        """memory.graph.relate: adds a relation, or evidence for an existing one."""
        one, other, times = _ref(source), _ref(target), (micros(since), micros(until))
        where = said or UNSAID
        made = await self.writing(
            call,
            lambda store, space: graph.relate(
                store, space, one, kind, other, said=where, confidence=confidence, since=times[0], until=times[1],
                properties=properties, single=single, labels=tuple(call.labels),
            ),
        )  # fmt: skip
        call.add_labels(*made.labels)
        return _relation(made)

    async def graph_end(self, call: Call, relation: int, until: str | None = None) -> Answer:
        """memory.graph.end: sets when a relation ceased to hold."""
        moment_of_end, labels = micros(until), tuple(call.labels)
        made = await self.writing(call, lambda store, space: graph.end(store, space, relation, moment_of_end, labels))
        call.add_labels(*made.labels)
        return _relation(made)

    async def graph_neighbours(
        self, call: Call, entity: object, kind: str = "", direction: str = "both", at: str | None = None,
        most: int = 100,
    ) -> Answer:  # fmt: skip
        """memory.graph.neighbours: an entity's relations."""
        ref, way, when = _ref(entity), _direction(direction), micros(at)
        shown, is_cut = await self.listing(
            call,
            lambda reader, space: (
                (_hop(hop), hop.relation.labels)
                for hop in walks.neighbours(reader, space, ref, kind=kind, direction=way, at=when, most=most)
            ),
        )
        return {"relations": shown, "more": is_cut or len(shown) == most}

    async def graph_paths(
        self, call: Call, source: object, target: object, kind: str = "", direction: str = "both", at: str | None = None,
        depth: int = 4, most: int = 10,
    ) -> Answer:  # fmt: skip
        """memory.graph.paths: paths between two entities."""
        one, other, way, when = _ref(source), _ref(target), _direction(direction), micros(at)
        shown, is_cut = await self._walk(
            call,
            lambda reader, space: walks.paths(
                reader, space, one, other, kind=kind, direction=way, at=when, depth=depth, most=most
            ),
        )
        return {"paths": shown, "cut": is_cut}

    async def graph_match(
        self, call: Call, pattern: Sequence[object], at: str | None = None, most: int = 100
    ) -> Answer:  # fmt: skip
        """memory.graph.match: chains of entities that match a pattern."""
        steps = _read(pattern, tuple[Step, ...], "pattern is a list of tables of kind, direction, depth, type and name")
        if not steps:
            raise _no("pattern has at least one table, for where it starts")
        when = micros(at)
        shown, is_cut = await self._walk(
            call, lambda reader, space: walks.match(reader, space, steps[0], steps[1:], at=when, most=most)
        )
        return {"rows": shown, "cut": is_cut}

    async def graph_merge(self, call: Call, keep: object, gone: object) -> Answer:
        """memory.graph.merge: merges one entity into another."""
        one, other, labels = _ref(keep), _ref(gone), tuple(call.labels)
        made = await self.writing(
            call, lambda store, space: merging.merge(store, space, one, other, labels), is_long=True
        )
        call.add_labels(*made.labels)
        return _entity(made)

    async def graph_forget(self, call: Call, entity: object) -> None:
        """memory.graph.forget: deletes an entity."""
        ref = _ref(entity)
        await self.writing(call, lambda store, space: graph.forget(store, space, ref), frees=True)

    async def graph_unrelate(self, call: Call, relation: int) -> None:
        """memory.graph.unrelate: deletes a relation."""
        await self.writing(call, lambda store, space: graph.unrelate(store, space, relation), frees=True)

    async def graph_contradictions(self, call: Call, after: Sequence[object] = (), most: int = 100) -> Answer:
        """memory.graph.contradictions: pairs of relations. after: the two numbers of the previous page's last pair."""
        last = _read(after or (0, 0), tuple[int, int], "after is the two numbers of a pair")
        shown, is_cut = await self.listing(
            call,
            lambda reader, space: (
                ({"pair": [*map(_relation, pair)]}, _marks(pair))
                for pair in graph.contradictions(reader, space, after=last, most=most)
            ),
            is_long=True,
        )
        return {"pairs": [row["pair"] for row in shown], "more": is_cut or len(shown) == most}

    async def _walk(self, call: Call, walk: Callable[[Reader, str], Found]) -> tuple[list[object], bool]:
        """(results of a walk that one reply holds, whether there are more)."""

        def read(reader: Reader, space: str) -> tuple[Fitted, bool]:
            found = walk(reader, space)
            ways = (([*map(_hop, way)], _marks(hop.relation for hop in way)) for way in found.paths)
            chains = (([*map(_brief, one.entities)], one.labels) for one in found.rows)
            return take_fitting(({"row": row}, labels) for row, labels in chain(ways, chains)), found.cut

        (rows, labels, is_more), is_cut = await self.reading(call, read)
        call.add_labels(*labels)
        return [row["row"] for row in rows], is_cut or is_more


def _ref(value: object) -> Ref:
    """Parses a caller's reference to an entity. Raises Failure."""
    if isinstance(value, str) and value:
        return Ref(name=value)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return Ref(number=min(value, (1 << 63) - 1))
    if isinstance(value, dict) and value.keys() <= {"name", "type"} and value.get("name"):
        return _read(value, Ref, "an entity's name and type are texts")
    raise _no("an entity is its number, its name, or a table of name and type")


def _direction(text: str) -> Direction:
    return _read(text, Direction, "direction is out, in or both")  # type: ignore[arg-type]  # a Literal is no class


def _read(value: object, kind: type[T], why: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _no(f"{why}: {error}") from None


def _no(why: str) -> Exception:
    with as_failures():
        raise Invalid(why)


def _entity(one: Entity) -> Answer:
    return {
        "entity": one.number, "type": one.type, "name": one.name, "aliases": list(one.aliases),
        "properties": one.properties, "created": moment(one.created), "changed": moment(one.changed),
    }  # fmt: skip


def _brief(one: Entity) -> Answer:
    return {"entity": one.number, "type": one.type, "name": one.name}


def _relation(one: Relation) -> Answer:
    voices = [{"said": voice.said, "confidence": voice.confidence, "at": moment(voice.at)} for voice in one.evidence]
    return {
        "relation": one.number, "source": _brief(one.source), "kind": one.kind, "target": _brief(one.target),
        "since": moment(one.since), "until": moment(one.until), "confidence": one.confidence,
        "properties": one.properties, "evidence": voices, "contradicts": list(one.contradicts),
    }  # fmt: skip


def _hop(hop: Hop) -> Answer:
    return {**_relation(hop.relation), "to": _brief(hop.to)}


def _marks(found: Iterable[Relation]) -> set[str]:
    return {label for one in found for label in one.labels}
