"""Finds what is plainly wrong in the JSON Schema of an agent's answers (pure), so that `maniple check` can say it.

The Hand `model` compares answers with the schema by a library, which this package may not import, and refuses a schema that
is none. What is found here is what people mistype: types, references, expressions, and tables where a list belongs.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from manifests.references import follow
from manifests.schemas import TYPES
from manifests.suggestions import suggestion

DEEPEST: Final = 50
"""Levels that are looked at."""

_TABLES: Final = ("properties", "$defs", "definitions", "patternProperties")
_LISTS: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_SCHEMAS: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


def find_fault(schema: Mapping[str, object]) -> str:
    """Return the first thing that is wrong, with its place; "" if nothing is found."""
    return next(_faults(schema, schema, "$", 0), "")


def _faults(part: object, root: Mapping[str, object], place: str, depth: int) -> Iterator[str]:
    if isinstance(part, bool) or depth > DEEPEST:
        return
    if not isinstance(part, Mapping):
        yield f"{place} is no schema: write an object"
        return
    yield from (f"{place}.{why}" for why in _own_faults(part, root))
    for word in _TABLES:
        inner = part.get(word, {})
        if not isinstance(inner, Mapping):
            yield f"{place}.{word} is no object"
            continue
        for name, one in inner.items():
            yield from _faults(one, root, f"{place}.{word}.{name}", depth + 1)
    for word in _LISTS:
        inner = part.get(word, ())
        if word in part and (not isinstance(inner, list) or not inner):
            yield f"{place}.{word} is no list of schemas"
            continue
        for at, one in enumerate(inner if isinstance(inner, list) else ()):
            yield from _faults(one, root, f"{place}.{word}[{at}]", depth + 1)
    for word in _SCHEMAS:
        inner = [part[word]] if word in part else []
        if word == "items" and inner and isinstance(inner[0], list):  # a schema for each place, in draft 7
            inner = inner[0]
        for one in inner:
            yield from _faults(one, root, f"{place}.{word}", depth + 1)


def _own_faults(part: Mapping[str, object], root: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with the words of a schema that hold no other schema."""
    types = part.get("type", [])
    for one in types if isinstance(types, list) else [types]:
        if one not in TYPES:
            yield f"type: {one!r} is no type; {suggestion(str(one), TYPES)}"
    required = part.get("required", [])
    if not isinstance(required, list) or not all(isinstance(one, str) for one in required):
        yield "required is no list of names"
    if not isinstance(part.get("enum", []), list):
        yield "enum is no list"
    reference = str(part.get("$ref", "#"))
    if follow(root, reference) is None and (reference.startswith("#/") or not _has_names(root)):
        yield f"$ref: {reference!r} leads nowhere in this file, and nothing is fetched"
    try:
        re.compile(str(part.get("pattern", "")))
    except re.error as error:
        yield f"pattern is no regular expression: {error}"


def _has_names(root: Mapping[str, object]) -> bool:
    """Whether a reference that is no path may mean a part of this file, by its `$id` or `$anchor`."""
    text = str(root)
    return "$id" in text or "$anchor" in text
