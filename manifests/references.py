"""Follows the references within a JSON Schema (pure)."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

_DIGITS: Final = 9  # fewer than Python refuses to read


def follow(schema: Mapping[str, object], reference: str) -> object:
    """Return what a JSON Pointer such as `#/$defs/a` leads to (RFC 6901 §6); None if to nothing, or if it is none."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    found: object = schema
    for step in unquote(reference).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(name)] if name.isdecimal() and len(name) < _DIGITS and int(name) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    return found
