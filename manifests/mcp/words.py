"""Methods, params and types of the names, texts and schemas of somebody else's tools (pure).

Our words are fewer: methods are small letters, digits and "-", params small letters, digits and "_", and a param's type
is one of ten. What does not fit is changed, two that come to the same are numbered, and the Hand's file keeps which is
which. A type that we have not is `any`, which the server itself checks then.

Whatever a server offers, what is done for each of its tools is bounded, since nobody waits minutes to say no: of names,
texts, lists and references no more is read than the constants below say, and nothing is looked for in a list twice.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from itertools import islice
from keyword import iskeyword
from typing import Final

from msgspec import Struct

from manifests.capabilities.spelling import oddity
from manifests.mcp.tools import TASK_ONLY, Tool
from manifests.readers import LONGEST_TEXT, RESERVED_FIELDS

FIXED: Final = (
    "tools.list", "resources.list", "resources.read", "prompts.list", "prompts.get", "auth.login", "auth.logout",
)  # fmt: skip
"""What the Hand of every server may offer besides the tools: each two words, which no tool's method is."""

NAME_MOST: Final = 1_000
"""Characters of the name of a tool, and of a param, of its own; what is longer is not taken. The protocol says 128."""

PARAMS_MOST: Final = 500
"""Params of a tool that are params of its method; a tool with more takes all its arguments at once."""

KINDS_MOST: Final = 32
"""Alternatives of a type that are looked at; where there are more, it is any."""

CHOICES_MOST: Final = 1_000
"""Values of an enum without a type that are looked at; where there are more, it is any."""

REFERENCE_MOST: Final = 1_000
"""Characters of a reference that is followed."""

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
    """Each tool under the last word of its method, but for those that `left_out` tells of."""
    found: dict[str, Tool] = {}
    seen: set[str] = set()
    unique = _Unique("-", (one.replace(".", "-") for one in FIXED))
    for tool in tools:
        if tool.name not in seen and len(tool.name) <= NAME_MOST and not tool.is_task_only:
            seen.add(tool.name)
            found[unique.of(_word(tool.name, "-") or "tool")] = tool
    return found


def left_out(tools: Collection[Tool]) -> dict[str, str]:
    """By the beginning of a tool's name, why it becomes no method."""
    seen: set[str] = set()
    found: dict[str, str] = {}
    for tool in tools:
        if len(tool.name) > NAME_MOST:
            found[f"{tool.name[:_LONGEST]}…"] = (
                f"its name has {len(tool.name):,} characters, and {NAME_MOST} are the most"
            )
        elif tool.name in seen:
            found[tool.name] = "another of its tools has the same name, and was told before"
        elif tool.is_task_only:
            found[tool.name] = TASK_ONLY
            continue
        seen.add(tool.name)
    return found


def taken_by(tool: Tool) -> Taken:
    """The params of a tool's method, those that must be given first."""
    schema = tool.input_schema
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        is_open = "properties" not in schema and schema.get("additionalProperties") is not False
        return Taken(types={"arguments": "dict?"}, theirs={"arguments": ""}) if is_open else Taken(types={}, theirs={})
    if why_whole(tool):
        return Taken(types={"arguments": "dict?"}, theirs={"arguments": ""})
    needed = schema.get("required")
    must = {one for one in needed if isinstance(one, str)} if isinstance(needed, list) else set()
    types: dict[str, str] = {}
    theirs: dict[str, str] = {}
    unique = _Unique("_")
    for name in (*filter(must.__contains__, properties), *(name for name in properties if name not in must)):
        ours = unique.of(_param(name))
        of_type, may_be_null = _type(schema, properties[name], 0)
        types[ours] = ("any" if may_be_null and name in must else of_type) + ("" if name in must else "?")
        theirs[ours] = name
    return Taken(types=types, theirs=theirs)


def why_whole(tool: Tool) -> str:
    """Why a tool that names its params takes them all at once, as `arguments`; "" for one that does not."""
    properties = tool.input_schema.get("properties")
    if not isinstance(properties, dict):
        return ""
    if len(properties) > PARAMS_MOST:
        return f"it takes {len(properties):,} params, and {PARAMS_MOST} are the most"
    if any(len(name) > NAME_MOST for name in properties):
        return f"the name of one of its params has more than {NAME_MOST} characters"
    return ""


def summary_of(tool: Tool) -> str:
    """One line about a tool in visible characters, what its params mean included as far as there is room."""
    said = beginning(tool.description, LONGEST_TEXT) or f"The tool {visible(tool.name)}"
    properties = tool.input_schema.get("properties")
    line = said
    for name, row in islice(properties.items(), PARAMS_MOST) if isinstance(properties, dict) else ():
        if text := _description(row):
            before = f"{said.rstrip('.')}. Params: " if line is said else f"{line}; "
            line = f"{before}{beginning(name, LONGEST_TEXT)}: {beginning(text, LONGEST_TEXT)}"
            if len(line) > LONGEST_TEXT:
                break
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def visible(text: str) -> str:
    """One line without a character that a person cannot see; such a one is told by its number."""
    plain = " ".join(text.split())
    if not oddity(plain):
        return plain
    return "".join(map(_shown, plain))


@lru_cache(maxsize=4096)
def _shown(char: str) -> str:
    return f"\\u{{{ord(char):x}}}" if oddity(char) else char


def beginning(text: str, most: int) -> str:
    """One visible line of a text, of which no more is read than can be shown."""
    line = visible(text[: 4 * most])
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"


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


class _Unique:
    """Words that are all different: one that was there before gets a number. reserved: words that none may be."""

    def __init__(self, between: str, reserved: Iterable[str] = ()) -> None:
        self._between, self._taken = between, set(reserved)
        self._numbers: dict[str, int] = {}

    def of(self, word: str) -> str:
        found = word
        while found in self._taken:
            self._numbers[word] = number = self._numbers.get(word, 1) + 1
            found = f"{word}{self._between}{number}"
        self._taken.add(found)
        return found


def _type(schema: Mapping[str, object], row: object, depth: int) -> tuple[str, bool]:
    """Our type for a schema, and whether null is allowed as well; `any` for what we have no type for."""
    if not isinstance(row, dict) or depth > _DEEPEST:
        return "any", True
    if isinstance(reference := row.get("$ref"), str):
        return _type(schema, found_in(schema, reference), depth + 1)
    for key in ("anyOf", "oneOf"):
        if isinstance(several := row.get(key), list):
            if len(several) > KINDS_MOST:
                return "any", True
            kinds = [one for one in several if not (isinstance(one, dict) and one.get("type") == "null")]
            if len(kinds) != 1:
                return "any", True
            of_type, may_be_null = _type(schema, kinds[0], depth + 1)
            return of_type, may_be_null or len(kinds) < len(several)
    if isinstance(values := row.get("enum"), list) and values and "type" not in row:
        is_text = len(values) <= CHOICES_MOST and all(isinstance(one, str) for one in values)
        return ("string", False) if is_text else ("any", True)
    named = row.get("type")
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    kinds = [one for one in names[:KINDS_MOST] if one != "null"]
    if len(kinds) != 1 or not isinstance(kinds[0], str) or kinds[0] not in _TYPES:
        return "any", True
    return _TYPES[kinds[0]], len(kinds) < len(names)


def found_in(schema: Mapping[str, object], reference: str) -> object:
    """What a reference within the schema leads to, None for another."""
    if not reference.startswith("#/") or len(reference) > REFERENCE_MOST:
        return None
    found: object = schema
    for step in reference[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
