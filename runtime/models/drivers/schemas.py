"""Answers by a JSON Schema: what a provider's own way takes, and how it is asked for in words (pure).

Providers that bind an answer to a schema take a part of JSON Schema: closed objects with all keys required, and few limits.
Another schema is asked for in words. Whoever calls the driver checks the answer in either case.
"""

from typing import Final

import msgspec

_KNOWN: Final = frozenset({
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "items", "properties", "required",
    "title", "type",
})  # fmt: skip


def is_strict(schema: object) -> bool:
    """Whether both bind an answer to it: its objects are closed, all keys are required, no other keyword is in it."""
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
    """Whether it is for an object."""
    return schema.get("type") == "object"


def in_words(schema: dict[str, object]) -> str:
    """The instruction for a model whose provider binds no answer to a schema."""
    return (
        "Answer with JSON only, without a word before or after it and without a code fence. "
        f"The JSON has to be valid against this JSON Schema:\n{msgspec.json.encode(schema).decode()}"
    )
