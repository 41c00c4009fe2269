"""Answers by a JSON Schema: which schemas a provider can enforce, and how to ask for others in words (pure).

Providers that enforce a schema take a part of JSON Schema: closed objects with all keys required, and few keywords. Other
schemas are asked for in words. Whoever calls the driver checks the answer in either case. What they refuse beyond that
(a schema of thousands of keys, or with many unions) ends as a failure that says so: `unfit`.
"""

import re
from graphlib import CycleError, TopologicalSorter
from typing import Final

import msgspec

_KNOWN: Final = frozenset({
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "items", "properties", "required",
    "title", "type",
})  # fmt: skip


_REFERENCE: Final = re.compile(r'"\$ref":"([^"]*)"')


def is_strict(schema: object) -> bool:
    """Return whether both providers enforce it, or OpenAI's alone if it is recursive: closed objects with all keys required,
    no keyword but those of _KNOWN, a type for each value, nothing beside a reference, and no list or object in an enum.
    """
    if not isinstance(schema, dict) or not schema.keys() <= _KNOWN:
        return False
    if "$ref" in schema:
        return len(schema) == 1 and re.match(r"#(?:/\$defs/[^/]+)?\Z", str(schema["$ref"])) is not None
    properties, types = schema.get("properties", {}), schema.get("type", ())
    if "type" not in schema and "anyOf" not in schema:
        return False
    if "object" in types or "properties" in schema:
        is_closed = schema.get("additionalProperties") is False
        if not is_closed or not isinstance(properties, dict) or set(schema.get("required", ())) != properties.keys():
            return False
    if "array" in types and "items" not in schema:
        return False
    if any(isinstance(one, list | dict) for one in (*schema.get("enum", ()), schema.get("const"))):
        return False
    inner = [*schema.get("anyOf", ()), *schema.get("$defs", {}).values(), *properties.values()]
    if "items" in schema:
        inner.append(schema["items"])
    return all(map(is_strict, inner))


def is_recursive(schema: dict[str, object]) -> bool:
    """Return whether a part of it refers to itself: Anthropic refuses that. Its references are as is_strict allows."""
    defined = schema.get("$defs")
    parts = {f"#/$defs/{name}": part for name, part in defined.items()} if isinstance(defined, dict) else {}
    referred = {name: set(_REFERENCE.findall(_json(part))) for name, part in parts.items()}
    try:
        TopologicalSorter({**referred, "#": set(_REFERENCE.findall(_json(schema)))}).prepare()
    except CycleError:
        return True
    return False


def is_object(schema: dict[str, object]) -> bool:
    """Return whether the schema is of an object."""
    return schema.get("type") == "object"


def in_words(schema: dict[str, object]) -> str:
    """Return the instruction for a model whose provider does not enforce the schema."""
    return (
        "Answer with JSON only: no text before or after it, and no code fence. "
        f"The JSON must be valid against this JSON Schema:\n{_json(schema)}"
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
