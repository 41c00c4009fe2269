"""The JSON Schemas of a method's params, which HAND.toml adds to their types for models to read (pure).

Arguments are not checked against them: params.py and the Hand do the checking. So only those keywords are allowed that
describe a value's form and that every provider of models accepts: a provider refuses a whole request if it does not
accept one tool. Not allowed are references, and patterns, which would have to be run against a model's arguments.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from manifests.capabilities.spelling import oddity

LARGEST: Final = 8 * 1024
"""The most characters of JSON of all schemas of a method together."""

DEEPEST: Final = 8
"""The most schemas nested in one another."""

CHOICES_MOST: Final = 100
TEXT_MOST: Final = 500
CHOICE_MOST: Final = 100
"""The most values of an enum, characters of a description, and characters of a value."""

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
"""The name of a property, as providers accept it."""

TYPES: Final = ("string", "integer", "number", "boolean", "array", "object", "null")
COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems")
BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
WORDS: Final = (
    "description", "type", "enum", "default", "items", "properties", "required", "additionalProperties", "anyOf",
    *COUNTS, *BOUNDS,
)  # fmt: skip
MEANING: Final = (
    f"More about its params for a model: by param, a JSON Schema of {', '.join(WORDS)}. Arguments are not checked against "
    "it; see [agents.md](agents.md#what-a-tool-takes)."
)
INSTEAD: Final = 'write it like { guest = { properties = { age = { type = "integer" } }, required = ["age"] } }'


def find_faults(schemas: Mapping[str, object]) -> dict[str, str]:
    """Return, by param, why its schema is not allowed; under "" what is wrong with all together."""
    found = {name: why for name, schema in schemas.items() if (why := _fault(schema, 0))}
    if not found and size(schemas) > LARGEST:
        return {"": f"have more than {LARGEST:,} characters as JSON"}
    return found


def size(schemas: Mapping[str, object]) -> int:
    """Return the number of characters of the schemas as JSON."""
    return len(json.dumps(schemas, ensure_ascii=False, separators=(",", ":")))


def is_value(value: object) -> bool:
    """Whether a value is allowed in an enum or as a default."""
    match value:
        case str():
            return len(value) <= CHOICE_MOST and not oddity(value)
        case float():
            return math.isfinite(value)
        case int():
            return value.bit_length() < 64
        case _:
            return False


def is_number(word: str, value: object) -> bool:
    """Whether a value is allowed for a keyword of COUNTS or BOUNDS."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_value(value):
        return False
    return word in BOUNDS or (word in COUNTS and isinstance(value, int) and value >= 0)


def _fault(schema: object, depth: int) -> str:
    """Return why a schema is not allowed, "" if it is."""
    if not isinstance(schema, dict):
        return "is not a table"
    if depth >= DEEPEST:
        return f"is nested more than {DEEPEST} deep"
    for word, value in schema.items():
        if word not in WORDS:
            return f"holds {str(word)[:CHOICE_MOST]!r}, which is none of {', '.join(WORDS)}"
        if word in ("items", "properties", "additionalProperties", "anyOf"):
            if why := _inner(word, value, depth):
                return why
        elif not _fits(word, value, schema):
            return f"has a {word} that is none in JSON Schema, too long, or of what cannot be seen"
    return ""


def _inner(word: str, value: object, depth: int) -> str:
    """Return why the schemas inside a schema are not allowed, "" if they are."""
    inner: Sequence[object]
    match word, value:
        case "properties", dict():
            if name := next((name for name in value if not NAME.fullmatch(name)), ""):
                return f"has a property {name[:CHOICE_MOST]!r}: names are 1 to 64 letters, digits, '_', '.' and '-'"
            inner = list(value.values())
        case "anyOf", [_, *_]:
            inner = value
        case "additionalProperties", bool():
            return ""
        case (("items" | "additionalProperties"), _):
            inner = [value]
        case _:
            return f"has {word} that is none in JSON Schema"
    return next(filter(None, (_fault(one, depth + 1) for one in inner)), "")


def _fits(word: str, value: object, schema: Mapping[str, object]) -> bool:
    match word, value:
        case "description", str():
            return len(value) <= TEXT_MOST and not oddity(value)
        case "type", str():
            return value in TYPES
        case "type", [_, *_]:
            return all(one in TYPES for one in value) and len(set(value)) == len(value)
        case "enum", [_, *_]:
            different = {(type(one), one) for one in value if is_value(one)}
            return len(different) == len(value) <= CHOICES_MOST
        case "default", _:
            return is_value(value)
        case "required", list():
            properties = schema.get("properties")
            known = properties if isinstance(properties, dict) else {}
            return all(isinstance(one, str) and one in known for one in value) and len(set(value)) == len(value)
        case _:
            return is_number(word, value)
