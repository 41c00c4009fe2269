"""Methods, params and types of the names, texts and schemas of somebody else's tools (pure).

Our words are fewer: methods are small letters, digits and "-", params small letters, digits and "_", and a param's type
is one of ten. What does not fit is changed, two that come to the same are numbered, and the Hand's file keeps which is
which. A type that we have not is `any`, which the server itself checks then.
"""

import re
from collections.abc import Collection, Mapping
from keyword import iskeyword
from typing import Final

from msgspec import Struct

from manifests.capabilities.spelling import oddity
from manifests.mcp.tools import Tool
from manifests.readers import LONGEST_TEXT, RESERVED_FIELDS

FIXED: Final = (
    "tools.list", "resources.list", "resources.read", "prompts.list", "prompts.get", "auth.login", "auth.logout",
)  # fmt: skip
"""What the Hand of every server may offer besides the tools: each two words, which no tool's method is."""

_LONGEST: Final = 56  # characters of a word, before it is numbered
_DEEPEST: Final = 8  # references to references in a schema
_CAPITAL: Final = re.compile(r"([a-z0-9])([A-Z])", re.ASCII)
_TYPES: Final = {
    "string": "string",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
}


class Taken(Struct, frozen=True, kw_only=True):
    """How a tool takes its arguments. types: as in [provides]; theirs: our param → the tool's, "" for all at once."""

    types: dict[str, str]
    theirs: dict[str, str]


def methods_of(tools: Collection[Tool]) -> dict[str, Tool]:
    """Each tool under the last word of its method; a tool whose name was told before is left out."""
    found: dict[str, Tool] = {}
    seen: set[str] = set()
    reserved = {one.replace(".", "-") for one in FIXED}
    for tool in tools:
        if tool.name not in seen:
            seen.add(tool.name)
            found[_unique(_word(tool.name, "-") or "tool", found.keys() | reserved, "-")] = tool
    return found


def taken_by(tool: Tool) -> Taken:
    """The params of a tool's method, those that must be given first."""
    schema = tool.input_schema
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        is_open = "properties" not in schema and schema.get("additionalProperties") is not False
        return Taken(types={"arguments": "dict?"}, theirs={"arguments": ""}) if is_open else Taken(types={}, theirs={})
    needed = schema.get("required")
    required = [name for name in properties if isinstance(needed, list) and name in needed]
    types: dict[str, str] = {}
    theirs: dict[str, str] = {}
    for name in (*required, *(name for name in properties if name not in required)):
        ours = _unique(_param(str(name)), types, "_")
        of_type, may_be_null = _type(schema, properties[name], 0)
        is_needed = name in required
        types[ours] = ("any" if may_be_null and is_needed else of_type) + ("" if is_needed else "?")
        theirs[ours] = str(name)
    return Taken(types=types, theirs=theirs)


def summary_of(tool: Tool) -> str:
    """One line about a tool in visible characters, what its params mean included as far as there is room."""
    said = visible(tool.description) or f"The tool {visible(tool.name)}"
    properties = tool.input_schema.get("properties")
    rows = properties.items() if isinstance(properties, dict) else ()
    told = [f"{visible(str(name))}: {visible(text)}" for name, row in rows if (text := _description(row))]
    line = f"{said.rstrip('.')}. Params: {'; '.join(told)}" if told else said
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def visible(text: str) -> str:
    """One line without a character that a person cannot see; such a one is told by its number."""
    plain = " ".join(text.split())
    if not oddity(plain):
        return plain
    return "".join(f"\\u{{{ord(char):x}}}" if oddity(char) else char for char in plain)


def _description(row: object) -> str:
    found = row.get("description") if isinstance(row, dict) else None
    return found if isinstance(found, str) else ""


def _word(text: str, between: str) -> str:
    """Small letters, digits, and what is between them; it begins with a letter, or is ""."""
    spaced = _CAPITAL.sub(rf"\1{between}\2", text).lower()
    word = re.sub(r"[^a-z0-9]+", between, spaced, flags=re.ASCII).strip(between)
    if word and not "a" <= word[0] <= "z":
        word = f"n{between}{word}"
    return word[:_LONGEST].strip(between)


def _param(name: str) -> str:
    word = _word(name, "_") or "param"
    return f"{word}_" if iskeyword(word) or word in RESERVED_FIELDS else word


def _unique(word: str, taken: Collection[str], between: str) -> str:
    found, number = word, 1
    while found in taken:
        number += 1
        found = f"{word}{between}{number}"
    return found


def _type(schema: Mapping[str, object], row: object, depth: int) -> tuple[str, bool]:
    """Our type for a schema, and whether null is allowed as well; `any` for what we have no type for."""
    if not isinstance(row, dict) or depth > _DEEPEST:
        return "any", True
    if isinstance(reference := row.get("$ref"), str):
        return _type(schema, found_in(schema, reference), depth + 1)
    for key in ("anyOf", "oneOf"):
        if isinstance(several := row.get(key), list):
            kinds = [one for one in several if not (isinstance(one, dict) and one.get("type") == "null")]
            if len(kinds) != 1:
                return "any", True
            of_type, may_be_null = _type(schema, kinds[0], depth + 1)
            return of_type, may_be_null or len(kinds) < len(several)
    if isinstance(values := row.get("enum"), list) and values and "type" not in row:
        return ("string", False) if all(isinstance(one, str) for one in values) else ("any", True)
    named = row.get("type")
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    kinds = [one for one in names if one != "null"]
    if len(kinds) != 1 or not isinstance(kinds[0], str) or kinds[0] not in _TYPES:
        return "any", True
    return _TYPES[kinds[0]], len(kinds) < len(names)


def found_in(schema: Mapping[str, object], reference: str) -> object:
    """What a reference within the schema leads to, None for another."""
    if not reference.startswith("#/"):
        return None
    found: object = schema
    for step in reference[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
