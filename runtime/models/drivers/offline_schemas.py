"""Writes a JSON Schema out for offline_fill.py (pure): local references in their place, and choices that are none resolved.

Libraries that make schemas from types write an optional number as `anyOf` of a number and null, and a type of its own as a
`$ref`. What refers to itself, is nested deeper than DEPTH_MOST or beyond NODES_MOST becomes a schema that takes anything:
a text names the fields of one such thing and not those within it. Whoever asked checks the value.
"""

from collections.abc import Mapping
from typing import Final

from manifests.references import follow

DEPTH_MOST: Final = 24
NODES_MOST: Final = 5_000

NULLABLE: Final = "x-null"
"""The key that marks a schema which takes null beside what it says."""

Schema = dict[str, object]


def write_out(schema: Mapping[str, object]) -> Schema:
    """Return the schema without references, with at most one of anyOf, whose choices are not null."""
    return _Writer(schema).write(schema, ())


class _Writer:
    """root: the whole schema."""

    def __init__(self, root: Mapping[str, object]) -> None:
        self._root = root
        self._left = NODES_MOST

    def write(self, schema: Mapping[str, object], above: tuple[str, ...]) -> Schema:
        """Return a part of the schema written out. above: a word for each level above it, or the reference that led there."""
        self._left -= 1
        if len(above) > DEPTH_MOST or self._left < 0:
            return {}
        made: Schema = {key: value for key, value in schema.items() if key != "$defs"}
        if "$ref" in made:
            reference = str(made.pop("$ref"))
            target = None if reference in above else follow(self._root, reference)
            return self.write({**(target if isinstance(target, dict) else {}), **made}, (*above, reference))
        if isinstance(made.get("type"), list) and "null" in made["type"]:  # type: ignore[operator]  # it is a list
            made[NULLABLE] = True
        for word in ("anyOf", "oneOf", "allOf"):
            made = self._choose(made, word, above)
        if isinstance(inner := made.get("properties"), dict):
            made["properties"] = {name: self._of(one, above) for name, one in inner.items()}
        if "items" in made:
            made["items"] = self._of(made["items"], above)
        return made

    def _choose(self, made: Schema, word: str, above: tuple[str, ...]) -> Schema:
        """Return the schema with its only choice in the place of several, as far as all others are null."""
        given = made.pop(word, None)
        every = (
            [self.write(one, (*above, "")) for one in given if isinstance(one, dict)] if isinstance(given, list) else []
        )
        others = [one for one in every if one.get("type") != "null"]
        if len(others) < len(every):
            made[NULLABLE] = True
        if len(others) == 1:
            return {**others[0], **made}
        return {**made, "anyOf": others} if others and word != "allOf" else made

    def _of(self, part: object, above: tuple[str, ...]) -> object:
        return self.write(part, (*above, "")) if isinstance(part, dict) else part
