"""What a tool's schema says of its params, as manifests/schemas.py has it (pure): for a model, and never to check against.

The schema is its author's: it may refer to itself, be of any depth and size, and hold words that are for nobody to see.
So it is walked to a bound, references are put in where they stand, and what of it does not fit is left out; where all would
be too much, texts become shorter first, then what is deepest goes. What is left out can only make it say less: an enum
stands there whole or not at all, and a table of which a field is missing says nothing of further fields.

The bound is one of work: each schema that is looked at, however often references lead there, and whatever of its texts and
lists is read, is counted; of a schema nothing else is touched than the words that are known here.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Final, NamedTuple

from manifests import schemas
from manifests.mcp.tools import Tool
from manifests.mcp.words import KINDS_MOST, Taken, beginning, found_in

MOST: Final = 4 * 1024
ALL_MOST: Final = 40 * 1024
"""Characters of the schemas of one tool, and of all of a server's together."""

_LEAST: Final = 40
"""Characters in which something can be said."""

LOOKS: Final = 10_000
ALL_LOOKS: Final = 100_000
"""How much is looked at for one tool, and for all of a server's together; see _Looks."""

_WALK: Final = 2_000
"""How much is looked at in one walk."""

_TEXT: Final = 100
"""Characters that are read in the time in which a schema is looked at."""

_FIELDS: Final = 60
_LOOKS: Final = 500
_KINDS: Final = 8
_REFERENCES: Final = 8
_BEGINNING: Final = 160
"""Characters of how an enum that is not told begins."""

_FIRST: Final = 200
_EXAMPLES: Final = 5
"""Values of an enum, not told whole, that are looked at, and told."""

_FEW: Final = 10
"""Names of fields that are looked at in the time in which a schema is."""

_KNOWN: Final = (*schemas.WORDS, "$ref", "allOf", "oneOf", "const", "format", "pattern")
_SAME: Final = "The same again as that which it is in."

Table = dict[str, object]


class _Fine(NamedTuple):
    """How much is told: characters of a text, schemas within one another, values of an enum."""

    text: int
    deep: int
    choices: int


_LESS: Final = (_Fine(300, 7, 100), _Fine(120, 5, 60), _Fine(60, 4, 30), _Fine(0, 3, 30), _Fine(0, 1, 10))

_SOME: Final = _LESS[2]
"""How much is told of those params of which something fits, where it does not of all."""


class _TooLarge(Exception):
    """You get this one when more would be looked at than there are looks left."""


class _Looks:
    """How much may still be looked at: one for a schema, for each value of an enum, and for _TEXT characters."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, looks: int) -> None:
        """Raises _TooLarge when there are not so many."""
        self.left -= looks
        if self.left < 0:
            raise _TooLarge


def shapes_of(tool: Tool, taken: Taken, room: int, looks: int = LOOKS) -> dict[str, Table]:
    """By our params, what the tool's schema says of each in at most so many characters; {} where nothing fits.

    looks: how much is looked at for that.
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


def _told(tool: Tool, taken: Taken, names: list[str], fine: _Fine, looks: _Looks) -> dict[str, Table] | None:
    """What is said of some params; None where that is too much to look at."""
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
        """Of a param, whose own type says what it is, unless that is `any`. What may be left out need not be null."""
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
        """The row with what its references and its only alternative say; what was referred to; whether null is another.

        None for one that refers to what it stands in.
        """
        has_null = False
        for _ in range(_REFERENCES):
            rest = row
            if isinstance(reference := row.get("$ref"), str):
                if reference in above:
                    return None, above, has_null
                above = (*above, reference)
                inner, rest = found_in(self._whole, reference), _without(row, "$ref")
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
        """What is said of it in words, its form and pattern among them, and of an enum too long how it begins."""
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
        """One visible line of a text, of which no more is read than can be shown."""
        if not isinstance(text, str):
            return ""
        self._looks.spend(min(len(text), 4 * most) // _TEXT)
        return beginning(text, most)

    def _first(self, values: list[object]) -> list[object]:
        """Some of an enum's values."""
        some = values[:_FIRST]
        self._looks.spend(len(some))
        return list(filter(schemas.is_value, some))[:_EXAMPLES]

    def _values(self, row: Table) -> Table:
        """Its enum, if all of it can be told, and its default."""
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
        """The schemas within it."""
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
    """The types of a schema, and whether null is another; as its words show where it names none."""
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
    """Those that must be given, and others, as many as are told of; of very many not all are looked at."""
    first = dict.fromkeys(
        one for one in islice(needed if isinstance(needed, list) else (), _LOOKS) if isinstance(one, str)
    )
    must = [one for one in first if one in fields and schemas.NAME.fullmatch(one)][:_FIELDS]
    others = (one for one in islice(fields, _LOOKS) if one not in first and schemas.NAME.fullmatch(one))
    return must, list(islice(others, _FIELDS - len(must)))


def _or_null(shape: Table) -> Table:
    """The same, or null."""
    kind, kinds = shape.get("type"), shape.get("anyOf")
    if isinstance(kinds, list) and kind is None and "enum" not in shape:
        return {**shape, "anyOf": [*kinds, {"type": "null"}]}
    if "enum" in shape or "anyOf" in shape or kind is None:
        said = {"description": shape["description"]} if "description" in shape else {}
        inner = {word: value for word, value in shape.items() if word != "description"}
        return {**said, "anyOf": [inner, {"type": "null"}]} if inner else shape
    return {**shape, "type": [*(kind if isinstance(kind, list) else [kind]), "null"]}


def _only(kinds: object) -> list[object]:
    """The one of several kinds that is not null, in a list; [] where there is not one."""
    if not isinstance(kinds, list) or len(kinds) > KINDS_MOST:
        return []
    real = [one for one in kinds if not _is_null(one)]
    return real if len(real) == 1 else []


def _is_null(kind: object) -> bool:
    return isinstance(kind, dict) and kind.get("type") == "null"


def _known(row: Table) -> Table:
    """Of a schema what is looked at."""
    return {word: row[word] for word in _KNOWN if word in row}


def _without(row: Table, word: str) -> Table:
    return {name: value for name, value in row.items() if name != word}
