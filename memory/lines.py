"""Export and import of a whole space as JSON Lines (acts on a Store).

The first line names the format, the last one says how many lines come before it, so that a file that was cut off is not
taken for a whole one. Each line between is an item of one part: a key, an entity, a relation, a fragment (fragment_lines.py),
a line of a conversation (session_lines.py). A value that JSON cannot represent, such as bytes, is
base64 of its msgpack. Numbers, versions, times and labels are included, so exporting an import gives the same bytes again.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from memory import fragment_lines, graph, keys, session_lines, upkeep
from memory.errors import Conflict, Invalid
from memory.filters import encode_labels
from memory.graph import Entity, Evidence
from memory.names import check_text, fold_name
from memory.queries import queries
from memory.sessions import SQL as SESSIONS
from memory.sessions import Span
from memory.store import Bindings, Reader, Store, sqlite_errors
from memory.times import check_counts, check_times

FORMAT: Final = "maniple-memory/2"
WITHOUT_END: Final = "maniple-memory/1"
"""The format before it had a last line. It is read, too."""

SQL: Final = queries("lines")
_BAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


class _Value(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value, as JSON or as base64 of msgpack."""

    json: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    msgpack: str = ""


class _Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: str
    value: _Value
    version: int
    created: int
    changed: int
    expires: int | None
    labels: tuple[str, ...]


class _Merged(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: int
    type: str
    name: str
    created: int
    changed: int


class _Entity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: int
    type: str
    name: str
    names: tuple[tuple[str, str], ...]
    properties: _Value
    labels: tuple[str, ...]
    created: int
    changed: int
    merged: tuple[_Merged, ...]


class _Relation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: int
    source: int
    kind: str
    target: int
    since: int | None
    until: int | None
    properties: _Value
    evidence: tuple[Evidence, ...]
    created: int
    changed: int


class _Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line, with exactly one of these fields."""

    format: str = ""
    end: int | None = None
    key: _Key | None = None
    entity: _Entity | None = None
    single: str = ""
    relation: _Relation | None = None
    fragment: fragment_lines.Line | None = None
    counter: tuple[str, int] | None = None
    session: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def export_space(store: Reader, space: str, take: Callable[[bytes], object]) -> set[str]:
    """Pass every line of a space to `take`, all of one snapshot. Returns the labels of all their items."""
    labels: set[str] = set()
    number = 0
    with sqlite_errors(), store.moment():
        for line in _lines(store, space, labels):
            take(line)
            number += 1
    take(_line(_Line(end=number)))
    return labels


def import_space(store: Store, space: str, lines: Iterable[bytes], labels: Sequence[str] = ()) -> int:
    """Import a space from its lines, all or nothing. Returns the number of lines.

    labels: of the lines as a whole, in addition to their own. Raises Conflict if the space is not empty, and Invalid, with
    the number of the line, for what is not an export.
    """
    with store.write():
        if any(upkeep.totals(store, space).values()):
            raise Conflict("there is something here already: import into an empty memory, or erase this one first")
        upkeep.erase(store, space)
        taking = _Import(store, space, frozenset(labels))
        number = 0
        for number, line in enumerate(lines, 1):
            try:
                taking.take(_read(line, number))
            except (Invalid, Conflict) as error:
                raise Invalid(f"line {number}: {error}") from None
            except (apsw.ConstraintError, OverflowError):
                raise Invalid(f"line {number}: it is there already, or holds a number beyond 64 bits") from None
        if not number:
            raise Invalid("line 1: the format is missing")
        taking.settle()
        return number


def _lines(store: Reader, space: str, labels: set[str]) -> Iterator[bytes]:
    yield _line(_Line(format=FORMAT))
    for key, value, marks, version, created, changed, expires in store.connection.execute(
        SQL["keys"], {"space": space, "now": store.now()}
    ):
        known = tuple(msgspec.json.decode(str(marks), type=list[str]))
        labels.update(known)
        yield _line(_Line(key=_Key(
            key=key, value=_shown(value), version=version, created=created, changed=changed, expires=expires, labels=known
        )))  # fmt: skip
    for (row,) in store.rows(SQL["entities"], {"space": space}):
        one = graph.entity_of(store, int(row or 0))
        labels.update(one.labels)
        yield _line(_Line(entity=_entity(store, one)))
    for (kind,) in store.rows(SQL["singles"], {"space": space}):
        yield _line(_Line(single=str(kind)))
    for (row,) in store.rows(SQL["relations"], {"space": space}):
        edge = graph.relation_of(store, int(row or 0))
        labels.update(edge.labels)
        yield _line(_Line(relation=_Relation(
            number=edge.number, source=edge.source.number, kind=edge.kind, target=edge.target.number, since=edge.since,
            until=edge.until, properties=_shown(graph.pack(edge.properties)), evidence=graph.evidence(store, edge.id),
            created=edge.created, changed=edge.changed,
        )))  # fmt: skip
    for what, last in store.rows(SQL["counters"], {"space": space, "now": store.now()}):
        yield _line(_Line(counter=(str(what), int(last or 0))))
    for fragment in fragment_lines.lines(store, space):
        labels.update(fragment.labels)
        yield _line(_Line(fragment=fragment))
    if last_fragment := fragment_lines.last_number(store, space):
        yield _line(_Line(counter=(fragment_lines.COUNTED, last_fragment)))
    yield from _session(store, space, labels)


def _session(store: Reader, space: str, labels: set[str]) -> Iterator[bytes]:
    if not store.rows(SESSIONS["session"], {"space": space}):
        return
    branches, last = session_lines.outline(store, space)
    yield _wrapped(session_lines.head(session_lines.WITHOUT_END))
    for branch in branches:
        labels.update(branch.labels)
        yield _wrapped(session_lines.branch_line(branch))
        after = branch.forked
        while after < branch.last:
            lines, after, marks = session_lines.message_lines(store, space, Span(branch.name, after, branch.last))
            labels.update(marks)
            yield from map(_wrapped, lines.splitlines())
    done = 0
    while done < last:
        lines, done, marks = session_lines.summary_lines(store, space, done, last)
        labels.update(marks)
        yield from map(_wrapped, lines.splitlines())


def _entity(store: Reader, one: Entity) -> _Entity:
    others = store.rows(SQL["names"], {"entity": one.id, "type": one.type, "folded": fold_name(one.name)})
    merged = [
        msgspec.convert(dict(zip(_Merged.__struct_fields__, row, strict=True)), _Merged)
        for row in store.rows(SQL["merged"], {"entity": one.id})
    ]
    return _Entity(
        number=one.number, type=one.type, name=one.name, names=tuple((str(of_type), str(name)) for of_type, name in others),
        properties=_shown(graph.pack(one.properties)), labels=one.labels, created=one.created, changed=one.changed,
        merged=tuple(merged),
    )  # fmt: skip


class _Import:
    """The import of a space, line by line."""

    def __init__(self, store: Store, space: str, labels: frozenset[str]) -> None:
        self._store, self._space, self._labels = store, space, labels
        self._ids: dict[int, int] = {}
        self._fragments = fragment_lines.Import(store, space, self._marks)
        self._session: session_lines.Import | None = None
        self._session_lines = 0
        self._ending = session_lines.Ending()

    def take(self, line: _Line) -> None:
        """Import the next line. Raises Invalid for one that is not allowed there."""
        self._ending.count()
        if line.format:
            self._ending.is_needed = line.format == FORMAT
        elif line.end is not None:
            self._ending.take(line.end)
        elif line.key is not None:
            self._take_key(line.key)
        elif line.entity is not None:
            self._take_entity(line.entity)
        elif line.single:
            self._store.rows(graph.SQL["make_single"], {"space": self._space, "kind": line.single})
        elif line.relation is not None:
            self._take_relation(line.relation)
        elif line.fragment is not None:
            self._fragments.take(line.fragment)
        elif line.counter is not None:
            what, last = line.counter
            if what == fragment_lines.COUNTED:
                self._fragments.count(last)
            elif what in ("entity", "key", "relation"):
                self._count(what, last)
            else:
                raise Invalid(f"nothing is counted as {what!r}")
        elif line.session is not msgspec.UNSET:
            self._take_session(bytes(line.session))

    def settle(self) -> None:
        """Finish the import, after the last line. Raises Invalid."""
        self._ending.check()
        self._fragments.settle()
        if self._session is not None:
            self._session.settle()

    def _marks(self, labels: Iterable[str]) -> str:
        return encode_labels(self._labels.union(labels))

    def _take_key(self, one: _Key) -> None:
        keys.check_change(keys.Change(key=one.key, value=_packed(one.value)))
        check_counts(one.version)
        check_times(one.created, one.changed, one.expires)
        self._store.rows(SQL["put_key"], {
            "space": self._space, "key": one.key, "value": _packed(one.value), "labels": self._marks(one.labels),
            "version": one.version, "created": one.created, "changed": one.changed, "expires": one.expires,
        })  # fmt: skip

    def _count(self, what: str, number: int) -> None:
        """Note that numbers up to this one are used, so that none is given again."""
        check_counts(number)
        self._store.rows(SQL["put_counter"], {"space": self._space, "what": what, "last": number})

    def _take_entity(self, one: _Entity) -> None:
        for of_type, name in ((one.type, one.name), *one.names, *((gone.type, gone.name) for gone in one.merged)):
            check_text("a type", of_type, 64)
            if not fold_name(check_text("a name", name)):
                raise Invalid("a name has a character that can be compared")
        self._count("entity", one.number)
        check_times(one.created, one.changed)
        for gone in one.merged:
            self._count("entity", gone.number)
            check_times(gone.created, gone.changed)
        row: Bindings = {
            "space": self._space, "number": one.number, "type": one.type, "name": one.name, "folded": fold_name(one.name),
            "properties": _properties(one.properties), "labels": self._marks(one.labels), "created": one.created,
            "changed": one.changed, "merged": None,
        }  # fmt: skip
        ((made,),) = self._store.rows(SQL["put_entity"], row)
        self._ids[one.number] = int(made or 0)
        for of_type, name in ((one.type, one.name), *one.names):
            graph.add_name(self._store, self._space, int(made or 0), of_type, name)
        for gone in one.merged:
            sign: Bindings = {
                "space": self._space, "number": gone.number, "type": gone.type, "name": gone.name,
                "folded": fold_name(gone.name), "properties": b"\x80", "labels": "[]", "created": gone.created,
                "changed": gone.changed, "merged": made,
            }  # fmt: skip
            self._store.rows(SQL["put_entity"], sign)

    def _take_relation(self, one: _Relation) -> None:
        if one.source not in self._ids or one.target not in self._ids or not one.evidence:
            raise Invalid(f"the relation {one.number} is between entities that are not there, or nobody says it")
        if one.since is not None and one.until is not None and one.since >= one.until:
            raise Invalid("a relation ends after it begins")
        check_text("a kind of relation", one.kind, 128)
        check_times(one.since, one.until, one.created, one.changed, *(voice.at for voice in one.evidence))
        self._count("relation", one.number)
        ((made,),) = self._store.rows(SQL["put_relation"], {
            "space": self._space, "number": one.number, "source": self._ids[one.source], "kind": one.kind,
            "target": self._ids[one.target], "since": one.since, "until": one.until,
            "properties": _properties(one.properties), "created": one.created, "changed": one.changed,
        })  # fmt: skip
        for voice in one.evidence:
            check_text("where it is from", voice.said, 1_024)
            if not 0.0 < voice.confidence <= 1.0:
                raise Invalid("confidence is above 0 and at most 1")
            self._store.rows(SQL["put_evidence"], {
                "relation": made, "said": voice.said, "confidence": voice.confidence, "labels": self._marks(voice.labels),
                "at": voice.at,
            })  # fmt: skip

    def _take_session(self, raw: bytes) -> None:
        if self._session is None:
            self._session = session_lines.begin_import(self._store, self._space, self._labels)
        self._session_lines += 1
        self._session.take(session_lines.read_line(raw, self._session_lines))


def _read(raw: bytes, number: int) -> _Line:
    try:
        line = msgspec.json.decode(raw, type=_Line)
    except _BAD as error:
        raise Invalid(f"it is none of {FORMAT}: {error}") from None
    items = (line.format, line.end, line.key, line.entity, line.single, line.relation, line.fragment, line.counter)
    if sum(bool(one) for one in items) + (line.session is not msgspec.UNSET) != 1:
        raise Invalid("a line holds one item: the format, a key, an entity, a relation, a fragment or another part")
    if (line.format != "") != (number == 1) or (number == 1 and line.format not in (FORMAT, WITHOUT_END)):
        raise Invalid(f"the first line, and no other one, says that this is {FORMAT}")
    return line


def _shown(raw: object) -> _Value:
    assert isinstance(raw, bytes)
    try:
        told = msgspec.json.encode(msgspec.msgpack.decode(raw))
        if msgspec.msgpack.encode(msgspec.json.decode(told)) == raw:
            return _Value(json=msgspec.Raw(told))
    except _BAD:
        pass
    except TypeError:
        pass  # a table whose names are no texts
    return _Value(msgpack=base64.b64encode(raw).decode())


def _packed(value: _Value) -> bytes:
    try:
        if value.json is msgspec.UNSET:
            raw = base64.b64decode(value.msgpack, validate=True)
            msgspec.msgpack.decode(raw)
            return raw
        return msgspec.msgpack.encode(msgspec.json.decode(value.json))
    except _BAD as error:
        raise Invalid(f"a value cannot be read: {error}") from None


def _properties(value: _Value) -> bytes:
    raw = _packed(value)
    try:
        return graph.pack(msgspec.msgpack.decode(raw, type=dict[str, object]))
    except msgspec.MsgspecError as error:
        raise Invalid(f"properties cannot be read: {error}") from None


def _wrapped(line: bytes) -> bytes:
    return _line(_Line(session=msgspec.Raw(line.strip())))


def _line(value: _Line) -> bytes:
    return msgspec.json.encode(value) + b"\n"
