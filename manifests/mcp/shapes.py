"""Reduces a tool's JSON Schema to the schemas of manifests/schemas.py, which models read (pure). Nothing is checked by it.

The schema is untrusted: it may refer to itself, have any depth and size, and contain unknown keywords. So the walk is
bounded, references are replaced by their targets, and what does not fit is omitted: texts are shortened first, then the
deepest levels go. Omissions only make it less specific: an enum is complete or absent, and an object that lacks a
property does not forbid further ones.

The bound is one of work, in looks: each visited schema counts, however often references lead to it, and so does what is
read of its texts and lists. Only known keywords of a schema are read.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Final, NamedTuple

from manifests import schemas
from manifests.mcp.tools import Tool
from manifests.mcp.words import KINDS_MOST, Params, resolve, shorten

MOST: Final = 4 * 1024
ALL_MOST: Final = 40 * 1024
"""The most characters of the schemas of one tool, and of all of a server's together."""

_LEAST: Final = 40
"""The least characters that can hold a useful schema."""

LOOKS: Final = 10_000
ALL_LOOKS: Final = 100_000
"""The most looks for one tool, and for all of a server's together; see _Looks."""

_WALK: Final = 2_000
"""The most looks in one walk."""

_TEXT: Final = 100
"""Characters of text that count as one look."""

_FIELDS: Final = 60
_LOOKS: Final = 500
_KINDS: Final = 8
_REFERENCES: Final = 8
_BEGINNING: Final = 160
"""The most characters that describe an omitted enum."""

_FIRST: Final = 200
_EXAMPLES: Final = 5
"""The most values of an omitted enum that are read, and that are shown."""

_FEW: Final = 10
"""Names of fields that count as one look."""

_KNOWN: Final = (*schemas.WORDS, "$ref", "allOf", "oneOf", "const", "format", "pattern")
_SAME: Final = "The same again as that which it is in."

Table = dict[str, object]


class _Fine(NamedTuple):
    """A level of detail: the most characters of a text, nested schemas, and values of an enum."""

    text: int
    deep: int
    choices: int


_LESS: Final = (_Fine(300, 7, 100), _Fine(120, 5, 60), _Fine(60, 4, 30), _Fine(0, 3, 30), _Fine(0, 1, 10))

_SOME: Final = _LESS[2]
"""The level of detail if only some of the params fit."""


class _TooLarge(Exception):
    """No looks are left."""


class _Looks:
    """A budget of work: one look for a schema, for each value of an enum, and for _TEXT characters."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, looks: int) -> None:
        """Use up looks. Raises _TooLarge if there are not enough."""
        self.left -= looks
        if self.left < 0:
            raise _TooLarge


def shapes_of(tool: Tool, taken: Params, room: int, looks: int = LOOKS) -> dict[str, Table]:
    """Return reduced schemas by the method's params, in at most `room` characters together; {} if nothing fits.

    looks: the budget of work.
    """
    names = [ours for ours, theirs in taken.theirs.items() if theirs] if room >= _LEAST else []
    for fine in _LESS:
        spent = _Looks(min(looks, _WALK))
        told = _told(tool, taken, names, fine, spent)
        if told is not None and schemas.size(told) <= room:
            return told
        looks -= min(looks, _WALK) - max(spent.left, 0)
    some: dict[str, Table] = {}
    left = _Looks(looks)
    for name in names[:_LOOKS]:  # those that must be given come first
        more = some | (_told(tool, taken, [name], _SOME, left) or {})
        some = more if schemas.size(more) <= room else some
    return some


def _told(tool: Tool, taken: Params, names: list[str], fine: _Fine, looks: _Looks) -> dict[str, Table] | None:
    """Return reduced schemas of some params at a level of detail; None if the looks do not suffice."""
    properties, walk = tool.input_schema.get("properties"), _Walk(tool.input_schema, fine, looks)
    rows = properties if isinstance(properties, dict) else {}
    try:
        found = {name: walk.param(rows[taken.theirs[name]], taken.types[name]) for name in names}
    except _TooLarge:
        return None
    return {name: shape for name, shape in found.items() if shape and not schemas.find_faults({name: shape})}


class _Walk:
    """One walk through a tool's schema."""

    def __init__(self, whole: Mapping[str, object], fine: _Fine, looks: _Looks) -> None:
        self._whole, self._fine, self._looks = whole, fine, looks

    def param(self, row: object, of_type: str) -> Table:
        """Reduce the schema of a param. Its `type` is dropped unless the param's declared type is `any`; an optional param
        does not get null as an alternative."""
        shape = self._shape(row, 0, (), nullable=of_type == "any")
        if not of_type.startswith("any"):
            shape.pop("type", None)
        return {} if shape == {"items": {}} else shape

    def _shape(self, row: object, depth: int, above: tuple[str, ...], *, nullable: bool = True) -> Table:
        self._looks.spend(1)
        if not isinstance(row, dict):
            return {}
        row, seen, has_null = self._plain(_known(row), above)
        if row is None:
            return {"description": _SAME} if self._fine.text else {}
        shape: Table = {}
        if said := self._said(row):
            shape["description"] = said
        names, typed_null = _types(row)
        shape |= {"type": names[0] if len(names) == 1 else names} if names else {}
        shape |= self._values(row)
        shape |= {
            word: row[word] for word in (*schemas.COUNTS, *schemas.BOUNDS) if schemas.is_number(word, row.get(word))
        }  # fmt: skip
        if depth < self._fine.deep:
            shape |= self._inner(row, names, depth, seen)
        elif "array" in names:
            shape["items"] = {}
        return _or_null(shape) if nullable and (has_null or typed_null) else shape

    def _plain(self, row: Table, above: tuple[str, ...]) -> tuple[Table | None, tuple[str, ...], bool]:
        """Return a schema merged with its references and its only alternative; the references followed; whether null is
        another alternative. None for a schema that refers to one that contains it.
        """
        has_null = False
        for _ in range(_REFERENCES):
            rest = row
            if isinstance(reference := row.get("$ref"), str):
                if reference in above:
                    return None, above, has_null
                above = (*above, reference)
                inner, rest = resolve(self._whole, reference), _without(row, "$ref")
            elif (word := next((one for one in ("allOf", "anyOf", "oneOf") if _only(row.get(one))), "")) != "":
                kinds = row[word]
                assert isinstance(kinds, list)
                inner, rest = _only(kinds)[0], _without(row, word)
                has_null |= len(kinds) > 1
            else:
                return row, above, has_null
            row = {**(_known(inner) if isinstance(inner, dict) else {}), **rest}
        return _without(row, "$ref"), above, has_null

    def _said(self, row: Table) -> str:
        """Return a description with its format and pattern, and with the first values of an enum that is too long."""
        most = self._fine.text
        if not most:
            return ""
        texts = [self._short(row.get("description"), most)]
        texts += [
            f"{word.title()}: {said}." for word in ("format", "pattern") if (said := self._short(row.get(word), 80))
        ]
        values = row.get("enum")
        if isinstance(values, list) and not self._values(row) and (some := self._first(values)):
            texts.append(f"One of {len(values)} values, such as {', '.join(map(str, some))}."[:_BEGINNING])
        told = [one if one[-1] in ".!?…" else f"{one}." for one in texts[:-1] if one]
        return " ".join([*told, *filter(None, texts[-1:])])[: schemas.TEXT_MOST]

    def _short(self, text: object, most: int) -> str:
        """Return a text as one visible line of at most `most` characters. Reads no more than it can show."""
        if not isinstance(text, str):
            return ""
        self._looks.spend(min(len(text), 4 * most) // _TEXT)
        return shorten(text, most)

    def _first(self, values: list[object]) -> list[object]:
        """Return a few of an enum's values."""
        some = values[:_FIRST]
        self._looks.spend(len(some))
        return list(filter(schemas.is_value, some))[:_EXAMPLES]

    def _values(self, row: Table) -> Table:
        """Return a schema's enum, if it fits completely, and its default."""
        found: Table = {}
        values = [row["const"]] if "const" in row else row.get("enum")
        if isinstance(values, list):
            some = values[: self._fine.choices + 1]
            self._looks.spend(len(some))
            told = [one for one in some if one is not None]
            different = {(type(one), one): one for one in told if schemas.is_value(one)}
            if told and len(different) == len(told) and len(values) <= self._fine.choices:
                found["enum"] = told
        if schemas.is_value(row.get("default")):
            found["default"] = row["default"]
        return found

    def _inner(self, row: Table, names: list[str], depth: int, above: tuple[str, ...]) -> Table:
        """Return the nested schemas: items, properties, additionalProperties and anyOf."""
        found: Table = {}
        if "array" in names:
            found["items"] = self._shape(row.get("items"), depth + 1, above)
        fields, is_whole = row.get("properties"), True
        if isinstance(fields, dict) and fields:
            self._looks.spend(min(len(fields), _LOOKS) // _FEW)
            must, may = _fields(fields, row.get("required"))
            is_whole = len(must) + len(may) == len(fields)
            found["properties"] = {name: self._shape(fields[name], depth + 1, above) for name in (*must, *may)}
            found |= {"required": must} if must else {}
        more = row.get("additionalProperties")
        if more is False and is_whole and "object" in names:
            found["additionalProperties"] = False
        elif isinstance(more, dict) and is_whole and (shape := self._shape(more, depth + 1, above)):
            found["additionalProperties"] = shape
        kinds = next((row[word] for word in ("anyOf", "oneOf") if isinstance(row.get(word), list)), None)
        if isinstance(kinds, list) and 1 < len(kinds) <= _KINDS:
            found["anyOf"] = [self._shape(one, depth + 1, above) for one in kinds if not _is_null(one)]
        return found


def _types(row: Table) -> tuple[list[str], bool]:
    """Return the types of a schema without null, and whether null is allowed. Without `type`, inferred from keywords."""
    named = row.get("type")
    names = named[:KINDS_MOST] if isinstance(named, list) else [named]
    known = list(dict.fromkeys(one for one in names if isinstance(one, str) and one in schemas.TYPES))
    if named is None:
        known = ["object"] if isinstance(row.get("properties"), dict) else ["array"] if "items" in row else []
    values = row.get("enum")
    kinds = next((row[word] for word in ("anyOf", "oneOf") if isinstance(row.get(word), list)), [])
    assert isinstance(kinds, list)
    has_null = (isinstance(values, list) and None in values[:_FIRST]) or any(map(_is_null, kinds[:KINDS_MOST]))
    if known == ["null"]:
        return known, False
    return [one for one in known if one != "null"], has_null or "null" in known


def _fields(fields: Table, needed: object) -> tuple[list[str], list[str]]:
    """Return the names of required and of other fields, at most _FIELDS together. Of very many, not all are read."""
    first = dict.fromkeys(
        one for one in islice(needed if isinstance(needed, list) else (), _LOOKS) if isinstance(one, str)
    )
    must = [one for one in first if one in fields and schemas.NAME.fullmatch(one)][:_FIELDS]
    others = (one for one in islice(fields, _LOOKS) if one not in first and schemas.NAME.fullmatch(one))
    return must, list(islice(others, _FIELDS - len(must)))


def _or_null(shape: Table) -> Table:
    """Return a schema that also allows null."""
    kind, kinds = shape.get("type"), shape.get("anyOf")
    if isinstance(kinds, list) and kind is None and "enum" not in shape:
        return {**shape, "anyOf": [*kinds, {"type": "null"}]}
    if "enum" in shape or "anyOf" in shape or kind is None:
        said = {"description": shape["description"]} if "description" in shape else {}
        inner = {word: value for word, value in shape.items() if word != "description"}
        return {**said, "anyOf": [inner, {"type": "null"}]} if inner else shape
    return {**shape, "type": [*(kind if isinstance(kind, list) else [kind]), "null"]}


def _only(kinds: object) -> list[object]:
    """Return the only alternative that is not null, in a list; [] if there is not exactly one."""
    if not isinstance(kinds, list) or len(kinds) > KINDS_MOST:
        return []
    real = [one for one in kinds if not _is_null(one)]
    return real if len(real) == 1 else []


def _is_null(kind: object) -> bool:
    return isinstance(kind, dict) and kind.get("type") == "null"


def _known(row: Table) -> Table:
    """Return a schema with its known keywords only."""
    return {word: row[word] for word in _KNOWN if word in row}


def _without(row: Table, word: str) -> Table:
    return {name: value for name, value in row.items() if name != word}
