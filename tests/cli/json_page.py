"""Compares what a command printed with --json with docs/json.md (pure, but that it reads the page once).

Each key that was printed must be on the page, and each key on the page must have been printed, unless its type says `or
missing`; so neither can change alone. `Shell.run` compares every result that any test asks for.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from kernel.cli import commands
from tests.living import ROOT

FAILURE: Final = {"outcome", "code", "text", "grant", "exit"}
"""The keys of what a command prints when it fails, which docs/cli.md explains."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ROW: Final = re.compile(r"^\| (.+?) \| (.+?) \|", re.MULTILINE)
PLAIN: Final[dict[str, Callable[[object], bool]]] = {
    "any": lambda _: True,
    "text": lambda value: isinstance(value, str),
    "time": lambda value: isinstance(value, str) and _TIME.fullmatch(value) is not None,
    '""': lambda value: value == "",
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}
"""Types that are no shapes: whether a value is of them. A `table` is one whose keys have rows of their own."""


@dataclass
class Node:
    """What the page says of one value. kinds: its types; of none it is a list or a table, which `parts` describe by key,
    `[]` each row of a list, `*` each other value of a table."""

    kinds: set[str] = field(default_factory=set)
    may_miss: bool = False
    parts: "dict[str, Node]" = field(default_factory=dict)


@dataclass
class Section:
    """One command, or one shape: the tables of which a value fits one."""

    tables: list[Node]
    of_lines: bool


def differences(words: Sequence[str], out: str) -> list[str]:
    """How a command's output differs from the page; empty if it does not, or if the command failed or streamed bytes."""
    if not out.startswith("{"):
        return []
    name = command_of(words)
    section = page().get(f"maniple {name}")
    if section is None:
        return [f"no section for {name}"]
    values = [json.loads(line) for line in out.splitlines()] if _is_lines(section, out) else [json.loads(out)]
    return [
        f"maniple {name} --json: {wrong}"
        for value in values
        if not (isinstance(value, dict) and value.keys() == FAILURE)
        for wrong in _least(_wrong(table, value, "") for table in section.tables)
    ]


def command_of(words: Sequence[str]) -> str:
    """The full name of the command that these words run."""
    first, *rest = words[next(at for at, word in enumerate(words) if word in commands.TOP) :]
    if first not in commands.GROUPS:
        return first
    return f"{first} {rest[0]}" if rest and rest[0] in commands.GROUPS[first] else f"{first} {commands.DEFAULTS[first]}"


def kinds() -> set[str]:
    """All types that the page names."""
    tables = [table for section in page().values() for table in section.tables]
    found: set[str] = set()
    while tables:
        node = tables.pop()
        found |= node.kinds
        tables += node.parts.values()
    return found


@cache
def page() -> dict[str, Section]:
    """The page's sections by heading: `maniple ps`, or the name of a shape."""
    text = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    found: dict[str, Section] = {}
    for heading, body in re.findall(r"^### (.*)\n((?:(?!##).*\n?)*)", text, re.MULTILINE):
        tables = [_table(rows) for rows in body.split("| key | type | |\n")[1:]]
        section = Section(tables, of_lines="*Lines" in body)
        prefix, names = (
            ("maniple ", heading.removeprefix("maniple ")) if heading.startswith("maniple ") else ("", heading)
        )
        found |= {f"{prefix}{name}": section for name in names.split(", ")}
    return found


def _table(text: str) -> Node:
    root = Node()
    for names, types in _ROW.findall(text.split("\n\n")[0]):
        kinds = set(re.sub(r"\[(.*?)\]\(.*?\)", r"\1", types).split(" or "))
        if names == "the keys of":
            root.kinds |= kinds
        for name in re.findall("`(.*?)`", names):
            steps = name.replace("[]", ".[]").split(".")
            _add(root, steps, kinds)
    return root


def _add(root: Node, steps: list[str], kinds: set[str]) -> None:
    node = named = root
    for step in steps:
        node = node.parts.setdefault(step, Node())
        named = named if step in ("[]", "*") else node
    node.kinds |= kinds - {"missing"}
    named.may_miss |= "missing" in kinds


def _is_lines(section: Section, out: str) -> bool:
    return section.of_lines and not out.startswith("{\n")


def _least(found: Iterable[list[str]]) -> list[str]:
    """The differences from that table which fits best."""
    return min(found, key=len)


def _wrong(node: Node, value: object, at: str) -> list[str]:
    shapes = [page()[kind] for kind in node.kinds if kind in page()]
    if any(fits(value) for kind, fits in PLAIN.items() if kind in node.kinds):
        return []
    if not node.parts:
        told = [_wrong(table, value, at) for shape in shapes for table in shape.tables]
        return _least(told) if told else [f"{at} is {value!r}, not {' or '.join(sorted(node.kinds))}"]
    if "[]" in node.parts:
        rows = value if isinstance(value, list) else [value]
        return [] if value == [] else [wrong for row in rows for wrong in _wrong(node.parts["[]"], row, f"{at}[]")]
    if not isinstance(value, dict):
        return [f"{at} is {value!r}, not a table"]
    return list(_wrong_keys(_with_shapes(node, shapes), value, at))


def _with_shapes(node: Node, shapes: list[Section]) -> "dict[str, Node]":
    return {name: part for shape in shapes for name, part in shape.tables[0].parts.items()} | node.parts


def _wrong_keys(parts: "dict[str, Node]", value: dict[str, object], at: str) -> Iterator[str]:
    for name, part in parts.items():
        if name != "*" and name not in value and not part.may_miss:
            yield f"{at}.{name} is on the page, and was not printed"
    for name, one in value.items():
        if (found := parts.get(name) or parts.get("*")) is None:
            yield f"{at}.{name} was printed, and is not on the page"
        else:
            yield from _wrong(found, one, f"{at}.{name}")
