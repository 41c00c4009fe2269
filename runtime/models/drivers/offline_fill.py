"""Fills a JSON Schema with values from a text, without a language model (pure): only with what the text says explicitly.

A property is searched by its name (`due_date` also as "due date"), its title, and the names in `x-names`: a line "name:
value", "name = value" or "- name: value", a key of that name in a text that is JSON, then "name is value" or "name
value" within a sentence. A value of an enum is also found where it stands alone; a number, date, e-mail address or URL
by its form, if only one property of the schema could take it. Nothing is guessed: what is not found is reported, and left
out, or null where the schema demands the property and takes null. Schemas are as offline_schemas.py writes them out.
"""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from runtime.models.drivers.offline_schemas import NULLABLE

DEPTH_MOST: Final = 8
READ_MOST: Final = 262_144
"""Characters of a text that are read, at most; fewer if many names are searched in it: see WORK_MOST."""

NAMES_MOST: Final = 2_000
"""Names and choices of a schema, at most: its properties, their titles and further names, and values of enums."""

WORK_MOST: Final = 50_000_000
"""Characters times names, at most: a few seconds, in which the Hand that serves everybody does nothing else."""

ROWS_WORK_MOST: Final = 1_000_000
"""The same for a list of tables, in each of which all names are searched."""

_FORMS: Final = {
    "date": r"\b\d{4}-\d{2}-\d{2}\b",
    "date-time": r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?",
    "time": r"\b\d{1,2}:\d{2}(?::\d{2})?\b",
    "email": r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "uri": r"https?://[^\s<>\"')\]]+",
    "ipv4": r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
    "uuid": r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b",
}
_PARTS: Final = re.compile(r"[,;]|(?<=\s)(?:and|und|et|y)(?=\s)")
_NUMBER: Final = r"[-+]?\d++(?:[.,']\d++)*+(?:[eE][-+]?\d++)?+"
_PLAIN: Final = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:,\d{3})+|\d{1,3}(?:'\d{3})+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
"""What looks like a number, and what can be read in one way only: `3,50` may be three and a half, or a mistake for 350."""

_NEXT: Final = re.compile(r"[.;|]\s+(?=[^\W\d_][\w -]{0,30}[:=]\s)")
"""What ends a statement before the next one of the same line: `Paid: no. Due date: today`."""

_DIGITS: Final = 20
_HELD: Final = range(-(2**63), 2**64)
"""Characters of the longest whole number that fits into a message, and the range of such numbers."""

_YES: Final = frozenset({"true", "yes", "on", "y", "ja", "oui", "si", "✓", "x"})
_NO: Final = frozenset({"false", "no", "off", "n", "nein", "non", "none", "-"})


class Missing(Exception):
    """You get this one when the text does not have a value. Internal to this module."""


def characters_read(schema: Mapping[str, object]) -> int:
    """Return how many characters of a text are read for a schema; 0 if it has more than NAMES_MOST names."""
    names = _count_names(schema, 0)
    return 0 if names > NAMES_MOST else min(READ_MOST, WORK_MOST // max(1, names))


def _count_names(schema: Mapping[str, object], depth: int) -> int:
    choices, properties = schema.get("enum"), schema.get("properties")
    count = len(choices) if isinstance(choices, list) else 0
    if depth <= DEPTH_MOST:
        within = (schema.get("items"), *_alternatives(schema))
        count += sum(_count_names(one, depth + 1) for one in within if isinstance(one, dict))
    if depth <= DEPTH_MOST and isinstance(properties, dict):
        for name, inner in properties.items():
            count += len(_names(name, inner)) + _count_names(inner, depth + 1) if isinstance(inner, dict) else 1
    return count


def fill(schema: Mapping[str, object], text: str) -> tuple[object, tuple[str, ...]]:
    """Return a value for the schema, not checked against it, and the names of the properties that were not found."""
    missing: list[str] = []
    try:
        value = _value(schema, text[: characters_read(schema)], _parse_json(text), "", missing, 0)
    except Missing:
        return None, ("the value",)
    return value, tuple(missing)


def _value(
    schema: Mapping[str, object], text: str, parsed: object, path: str, missing: list[str], depth: int
) -> object:
    if depth > DEPTH_MOST:
        raise Missing
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, text, parsed, path, missing, depth)
    if isinstance(parsed, dict) or (isinstance(parsed, list) and kind == "array"):
        return _convert(kind, schema, parsed, path, missing)
    return _convert(kind, schema, text)


def _object(
    schema: Mapping[str, object], text: str, parsed: object, path: str, missing: list[str], depth: int
) -> dict[str, object]:
    found: dict[str, object] = {}
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return dict(parsed) if isinstance(parsed, dict) else found
    table = {_fold(str(key)): value for key, value in parsed.items()} if isinstance(parsed, dict) else None
    needed = schema.get("required")
    needed = needed if isinstance(needed, list) else []
    for name, inner in properties.items():
        inner = inner if isinstance(inner, dict) else {}
        where = f"{path}.{name}" if path else str(name)
        try:
            if _kind(inner) == "object":
                below = _look_up(table, _names(name, inner))
                found[name] = _object(inner, text, below, where, missing, depth + 1)
            else:
                found[name] = _property(name, inner, properties, text, table, (where, missing))
        except Missing:
            missing.append(where)
        if inner.get(NULLABLE) and name in needed and _says_nothing(found.get(name)):
            found[name] = None
    return found


def _says_nothing(value: object) -> bool:
    """Return whether a value has nothing that the text says."""
    return value is None or (isinstance(value, dict) and all(map(_says_nothing, value.values())))


def _property(
    name: str, schema: Mapping[str, object], beside: Mapping[str, object], text: str, table: dict[str, object] | None,
    path_and_missing: tuple[str, list[str]],
) -> object:  # fmt: skip
    names = _names(name, schema)
    if table is not None:
        found = _look_up(table, names)
        if found is None:
            raise Missing
        path, missing = path_and_missing
        missing_within = list[str]()
        value = _convert(_kind(schema), schema, found, path, missing_within)
        missing += missing_within
        return value
    for said in _statements(text, names):
        try:
            return _convert(_kind(schema), schema, said)
        except Missing:
            continue
    return _by_form(schema, beside, text)


def _by_form(schema: Mapping[str, object], beside: Mapping[str, object], text: str) -> object:
    """Return the text's only value of the property's form, if no other property (`beside`) has this form."""
    pattern = _FORMS.get(str(schema.get("format", "")))
    alike = [one for one in beside.values() if isinstance(one, dict) and one.get("format") == schema.get("format")]
    if pattern and len(alike) == 1:
        found = {match[0] for match in re.finditer(pattern, text)}
        if len(found) == 1:
            return found.pop()
    choices = schema.get("enum")
    if isinstance(choices, list):
        there = [one for one in choices if isinstance(one, str) and _stands_in(one, text)]
        if len(there) == 1:
            return there[0]
    if _kind(schema) in ("integer", "number"):
        alike = [one for one in beside.values() if isinstance(one, dict) and _kind(one) in ("integer", "number")]
        numbers = re.findall(rf"(?<![\w.-])(?<!\d[,']){_NUMBER}(?![\w-])", text)
        if len(alike) == 1 and len(numbers) == 1:
            return _convert(_kind(schema), schema, numbers[0])
    raise Missing


def _statements(text: str, names: Sequence[str]) -> list[str]:
    """Return what the text states for one of the names, the most explicit statement first."""
    named = "|".join(re.escape(name).replace(r"\ ", r"[\s_-]+") for name in sorted(names, key=len, reverse=True))
    row = re.findall(rf"(?im)^[ \t>*#-]*(?:{named})(?:\*\*)?[ \t]*[:=][ \t*]*(\S[^\n]*)$", text)
    within = re.findall(rf"(?i)\b(?:{named})\b\s*(?:is|are|was|were|of|:|=)\s++((?:[^.;\n]|\.(?=\d))*[^.;\s])", text)
    beside = re.findall(rf"(?i)\b(?:{named})\b\s+({_NUMBER})", text)
    return [said.strip() for said in (*(_NEXT.split(one, maxsplit=1)[0] for one in row), *within, *beside)]


def _convert(
    kind: str, schema: Mapping[str, object], said: object, path: str = "", missing: list[str] | None = None
) -> object:
    """Return what was said as a value of the schema; raises Missing if it is not one. missing: gets what its tables lack."""
    for one in _alternatives(schema):
        with suppress(Missing):
            return _convert(_kind(one), one, said, path, missing)
    choices = schema.get("enum")
    if isinstance(choices, list):
        if said in choices:
            return said
        there = [one for one in choices if isinstance(said, str) and isinstance(one, str) and _stands_in(one, said)]
        if len(there) != 1:
            raise Missing
        return there[0]
    match kind:
        case "string":
            return _string(schema, said)
        case "integer" | "number":
            return _number(kind, said)
        case "boolean":
            return _boolean(said)
        case "array":
            return _array(schema, said, path, missing)
        case "object":
            if not isinstance(said, dict):
                raise Missing
            return _object(schema, "", said, path, [] if missing is None else missing, 0)
        case _:
            if "anyOf" in schema:
                raise Missing
            return said


def _alternatives(schema: Mapping[str, object]) -> list[Mapping[str, object]]:
    given = schema.get("anyOf")
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _string(schema: Mapping[str, object], said: object) -> str:
    if not isinstance(said, str | int | float) or isinstance(said, bool):
        raise Missing
    text = str(said).strip().strip("\"'`“”„")
    pattern = _FORMS.get(str(schema.get("format", "")))
    if pattern:
        found = re.search(pattern, text)
        if found is None:
            raise Missing
        return found[0]
    if not text:
        raise Missing
    return text


def _number(kind: str, said: object) -> int | float:
    if isinstance(said, bool):
        raise Missing
    number = said if isinstance(said, int | float) else _parse_number(str(said))
    if isinstance(number, float) and number.is_integer() and abs(number) < 2**53:
        number = int(number)
    if not math.isfinite(number) or (kind == "integer" and isinstance(number, float)):
        raise Missing
    return number


def _parse_number(text: str) -> int | float:
    """Return the first number in a text; raises Missing if it is ambiguous or too large for a message."""
    found = re.search(_NUMBER, text)
    if found is None or not _PLAIN.fullmatch(found[0]):
        raise Missing
    plain = found[0].replace(",", "").replace("'", "")
    if not plain.lstrip("+-").isdecimal():
        return float(plain)
    if len(plain) > _DIGITS or int(plain) not in _HELD:
        raise Missing
    return int(plain)


def _boolean(said: object) -> bool:
    if isinstance(said, bool):
        return said
    word = re.split(r"[\s,.;]", str(said).strip().lower())[0]
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise Missing


def _array(schema: Mapping[str, object], said: object, path: str, missing: list[str] | None) -> list[object]:
    items = schema.get("items")
    items = items if isinstance(items, dict) else {}
    kind = _kind(items)
    if kind == "object" and not isinstance(said, list):
        raise Missing
    many = said if isinstance(said, list) else [one.strip() for one in _PARTS.split(str(said))]
    if kind == "object" and len(msgspec.json.encode(many)) * _count_names(items, 0) > ROWS_WORK_MOST:
        raise Missing
    named = [(f"{path}[{at}]", one) for at, one in enumerate(many) if one not in ("", None)]
    return [_convert(kind, items, one, where, missing) for where, one in named]


def _kind(schema: Mapping[str, object]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "")
    return str(kind or ("object" if "properties" in schema else ""))


def _names(name: str, schema: Mapping[str, object]) -> list[str]:
    title, more = schema.get("title"), schema.get("x-names")
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ")
    found = [name, apart, *([title] if isinstance(title, str) else [])]
    return [*found, *(str(one) for one in (more if isinstance(more, list) else []))]


def _look_up(table: dict[str, object] | None, names: Sequence[str]) -> object:
    return next((table[key] for key in map(_fold, names) if table.get(key) is not None), None) if table else None


def _fold(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).lower()


def _caseless(text: str) -> str:
    """Fold case for a first test: characters that an expression matches in any case become equal, the Turkish i too."""
    return text.casefold().replace("\u0307", "").replace("ı", "i")


def _stands_in(word: str, text: str) -> bool:
    if _caseless(word) not in _caseless(text):  # compiling an expression takes long
        return False
    return re.search(rf"(?i)(?<!\w){re.escape(word)}(?!\w)", text) is not None


def _parse_json(text: str) -> object:
    """Return the text's JSON if it is a table or a list that fits into a message, else None."""
    try:
        value: object = msgspec.json.decode(text)
        msgspec.msgpack.encode(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, ValueError):
        return None
    return value if isinstance(value, dict | list) else None
