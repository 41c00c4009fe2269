"""Answers by a JSON Schema: which schemas a provider can enforce, and how to ask for others in words (pure).

Providers that enforce a schema take a part of JSON Schema: closed objects with all keys required, and few keywords. Other
schemas are asked for in words. Whoever calls the driver checks the answer in either case.
"""

from typing import Final

import msgspec

_KNOWN: Final = frozenset({
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "items", "properties", "required",
    "title", "type",
})  # fmt: skip


def is_strict(schema: object) -> bool:
    """Return whether both providers enforce it: closed objects, all keys required, no keyword but those of _KNOWN."""
    if not isinstance(schema, dict) or not schema.keys() <= _KNOWN:
        return False
    properties = schema.get("properties", {})
    if schema.get("type") == "object" or "properties" in schema:
        is_closed = schema.get("additionalProperties") is False
        if not is_closed or not isinstance(properties, dict) or set(schema.get("required", ())) != properties.keys():
            return False
    inner = [*schema.get("anyOf", ()), *schema.get("$defs", {}).values(), *properties.values()]
    if "items" in schema:
        inner.append(schema["items"])
    return all(map(is_strict, inner))


def is_object(schema: dict[str, object]) -> bool:
    """Return whether the schema is of an object."""
    return schema.get("type") == "object"


def in_words(schema: dict[str, object]) -> str:
    """Return the instruction for a model whose provider does not enforce the schema."""
    return (
        "Answer with JSON only: no text before or after it, and no code fence. "
        f"The JSON must be valid against this JSON Schema:\n{msgspec.json.encode(schema).decode()}"
    )
