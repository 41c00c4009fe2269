"""Maps a server's tools to methods, params and types of a Hand (pure).

Maniple's names are narrower: methods are small letters, digits and "-", params small letters, digits and "_", and a param
has one of ten types. Names that do not fit are changed, equal results are numbered, and the Hand's mcp.json stores the
mapping. A type without an equivalent is `any`, which the server itself checks.

The work for each tool is bounded, whatever a server offers: of names, texts, lists and references no more is read than the
constants below say, and no list is searched twice.
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
from manifests.references import follow

FIXED: Final = (
    "tools.list", "resources.list", "resources.read", "prompts.list", "prompts.get", "auth.login", "auth.logout",
)  # fmt: skip
"""Methods that the Hand of a server may provide besides the tools: two words each, while a tool's method is one."""

NAME_MOST: Final = 1_000
"""The most characters of the names of a tool, and of params of a method; longer ones are not used. The protocol says 128."""

PARAMS_MOST: Final = 500
"""The most params that a method has; a tool with more takes all its arguments in one param."""

KINDS_MOST: Final = 32
"""The most alternatives of a type; one with more becomes `any`."""

CHOICES_MOST: Final = 1_000
"""The most values of an enum without a type; one with more becomes `any`."""

REFERENCE_MOST: Final = 1_000
"""The most characters of a reference that is followed."""

_LONGEST: Final = 56  # the most characters of a name, before it is numbered
_DEEPEST: Final = 8  # the longest chain of references in a schema
_CAPITAL: Final = re.compile(r"([a-z0-9])([A-Z])", re.ASCII)
_TYPES: Final = {
    "string": "string",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
}


class Params(Struct, frozen=True, kw_only=True):
    """The params of a tool's method. types: as in [provides]; theirs: our param → the tool's, "" for all at once."""

    types: dict[str, str]
    theirs: dict[str, str]


def methods_of(tools: Collection[Tool]) -> dict[str, Tool]:
    """Return the tools by the last word of their methods, without those that unusable_tools() lists."""
    found: dict[str, Tool] = {}
    seen: set[str] = set()
    unique = _Unique("-", (one.replace(".", "-") for one in FIXED))
    for tool in tools:
        if tool.name not in seen and len(tool.name) <= NAME_MOST and not tool.is_task_only:
            seen.add(tool.name)
            found[unique.of(_word(tool.name, "-") or "tool")] = tool
    return found


def unusable_tools(tools: Collection[Tool]) -> dict[str, str]:
    """Return the tools that become no method, by the beginning of their names, with the reason."""
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


def params_of(tool: Tool) -> Params:
    """Return the params of a tool's method, required ones first."""
    schema = tool.input_schema
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        is_open = "properties" not in schema and schema.get("additionalProperties") is not False
        return (
            Params(types={"arguments": "dict?"}, theirs={"arguments": ""}) if is_open else Params(types={}, theirs={})
        )
    if why_one_argument(tool):
        return Params(types={"arguments": "dict?"}, theirs={"arguments": ""})
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
    return Params(types=types, theirs=theirs)


def why_one_argument(tool: Tool) -> str:
    """Return why a tool's method takes all params as one, `arguments`, although the tool names them; "" if it does not."""
    properties = tool.input_schema.get("properties")
    if not isinstance(properties, dict):
        return ""
    if len(properties) > PARAMS_MOST:
        return f"it takes {len(properties):,} params, and {PARAMS_MOST} are the most"
    if any(len(name) > NAME_MOST for name in properties):
        return f"the name of one of its params has more than {NAME_MOST} characters"
    return ""


def summary_of(tool: Tool) -> str:
    """Return one visible line about a tool, with descriptions of its params as far as there is room."""
    said = shorten(tool.description, LONGEST_TEXT) or f"The tool {visible(tool.name)}"
    properties = tool.input_schema.get("properties")
    line = said
    for name, row in islice(properties.items(), PARAMS_MOST) if isinstance(properties, dict) else ():
        if text := _description(row):
            before = f"{said.rstrip('.')}. Params: " if line is said else f"{line}; "
            line = f"{before}{shorten(name, LONGEST_TEXT)}: {shorten(text, LONGEST_TEXT)}"
            if len(line) > LONGEST_TEXT:
                break
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def visible(text: str) -> str:
    """Return a text as one line, with each invisible character as its code point, such as \\u{200b}."""
    plain = " ".join(text.split())
    if not oddity(plain):
        return plain
    return "".join(map(_shown, plain))


@lru_cache(maxsize=4096)
def _shown(char: str) -> str:
    return f"\\u{{{ord(char):x}}}" if oddity(char) else char


def shorten(text: str, most: int) -> str:
    """Return a text as one visible line of at most `most` characters. Reads no more than it can show."""
    line = visible(text[: 4 * most])
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"


def _description(row: object) -> str:
    found = row.get("description") if isinstance(row, dict) else None
    return found if isinstance(found, str) else ""


def _word(text: str, between: str) -> str:
    """Return a name of small letters, digits and `between`, which begins with a letter; "" if nothing is left."""
    spaced = _CAPITAL.sub(rf"\1{between}\2", text).lower()
    word = re.sub(r"[^a-z0-9]+", between, spaced, flags=re.ASCII).strip(between)
    if word and not "a" <= word[0] <= "z":
        word = f"n{between}{word}"
    return word[:_LONGEST].strip(between)


def _param(name: str) -> str:
    word = _word(name, "_") or "param"
    return f"{word}_" if iskeyword(word) or word in RESERVED_FIELDS else word


class _Unique:
    """Makes names unique: one that was used before gets a number. reserved: names that are never given."""

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
    """Return the declared type for a schema, and whether null is allowed; `any` for one without an equivalent."""
    if not isinstance(row, dict) or depth > _DEEPEST:
        return "any", True
    if isinstance(reference := row.get("$ref"), str):
        return _type(schema, resolve(schema, reference), depth + 1)
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


def resolve(schema: Mapping[str, object], reference: str) -> object:
    """Return the target of a reference within the schema, None for any other reference."""
    return follow(schema, reference) if len(reference) <= REFERENCE_MOST else None
