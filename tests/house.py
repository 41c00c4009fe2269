"""The house rules: pure functions from a file's path and text to a list of problems.

A path is relative to the root, with `/`. A rule returns one line per problem, and an empty list for a file that keeps it.
Rules about imports are in `tests/house_imports.py`; `tests/test_house.py` applies both to the tree, and to samples that
break them.
"""

import ast
import gc
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

FILE_MAX: Final = 400
FUNCTION_MAX: Final = 60
KERNEL_MAX: Final = 2_600
KERNEL_MAX_IN_ALL: Final = 4_100
ROOMS: Final = {"kernel/methods/": 800, "kernel/process/": 1_020, "kernel/record/": 1_400}
"""Parts of the kernel that are not its own process, each with a limit of lines of code."""

RECIPES_MAX: Final = 10

LAYOUT: Final = frozenset(
    {".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "docs", "hands", "just", "justfile", "kernel"}
    | {"manifests", "memory", "pyproject.toml", "requirements", "runtime", "tests", "wire"}
)

NOT_NAMES: Final = frozenset({"manager", "handler", "helper", "util", "common", "context", "data", "info"})

# Joined from parts, so that this file keeps its own rule.
HOSTS: Final = tuple(
    ".".join(parts)
    for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("crates", "io"), ("anaconda", "org"))
)
MACHINE_PATH: Final = re.compile(r"(?<![\w.*/-])/(?:root|work|Users/\w+|home/\w+)/[\w.-]+")
UNFINISHED: Final = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@contextmanager
def keeping_trees() -> Iterator[None]:
    """During the block, search for no garbage, which would go through millions of nodes in vain; then forget the trees."""
    gc.disable()
    try:
        yield
    finally:
        _parsed.cache_clear()
        nodes.cache_clear()
        gc.enable()


@cache
def _parsed(text: str) -> ast.Module:
    """Parse a module once: every rule reads every module, and none changes the tree."""
    return ast.parse(text)


@cache
def nodes(text: str) -> tuple[ast.AST, ...]:
    """All nodes of a module, in the order of `ast.walk`, which takes twice as long."""
    found: list[ast.AST] = [_parsed(text)]
    for node in found:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [one for one in value if isinstance(one, ast.AST)]
    return tuple(found)


def layout(paths: Iterable[str]) -> list[str]:
    """The top-level files and folders are exactly LAYOUT."""
    found = {path.split("/", 1)[0] for path in paths}
    return [f"{name} does not belong at the top" for name in sorted(found - LAYOUT)] + [
        f"{name} is missing at the top" for name in sorted(LAYOUT - found)
    ]


def file_length(path: str, text: str) -> list[str]:
    """A code file has at most FILE_MAX lines."""
    count = text.count("\n")
    return [f"{path}: {count} lines, {FILE_MAX} at most"] if count > FILE_MAX else []


def function_length(path: str, text: str) -> list[str]:
    """A function has at most FUNCTION_MAX lines, from `def` to its last one."""
    return [
        f"{path}:{node.lineno}: {node.name} has {length} lines, {FUNCTION_MAX} at most"
        for node in nodes(text)
        if isinstance(node, Function) and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_MAX
    ]


def kernel_length(files: Iterable[tuple[str, str]]) -> list[str]:
    """The kernel can be read in an afternoon: limits of lines of code; see docs/adr/0010, 0024 and 0028."""
    inside = [(path, text) for path, text in files if path.startswith("kernel/") and "/cli/" not in path]
    texts = [text for path, text in inside if not path.startswith(tuple(ROOMS))]
    walls = [
        (sum(map(code_lines, texts)), KERNEL_MAX, "kernel: {} lines of code, {} at most"),
        (sum(text.count("\n") for text in texts), KERNEL_MAX_IN_ALL, "kernel: {} lines in all, {} at most"),
    ]
    for room, most in ROOMS.items():
        code = sum(code_lines(text) for path, text in inside if path.startswith(room))
        walls.append((code, most, room + ": {} lines of code, {} at most"))
    return [words.format(count, most) for count, most, words in walls if count > most]


def code_lines(text: str) -> int:
    """Count the lines that are not blank, a comment, a docstring, or a string below a constant."""
    explaining: set[int] = set()
    for node in nodes(text):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            explaining.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.split("\n"), 1)
    return sum(1 for number, line in lines if line.strip() and line.strip()[0] != "#" and number not in explaining)


def module_docstring(path: str, text: str) -> list[str]:
    """Every module begins with a docstring that says what it is."""
    first = (ast.get_docstring(_parsed(text)) or "").split("\n", 1)[0]
    return [] if len(first) > 10 else [f"{path}: its first line does not say what it is"]


def message_docstrings(path: str, text: str) -> list[str]:
    """The docstring of every message (a class with a tag) says who sends it."""
    return [
        f"{path}:{node.lineno}: {node.name} does not say who sends it: Sent by …"
        for node in nodes(text)
        if isinstance(node, ast.ClassDef)
        and any(keyword.arg == "tag" for keyword in node.keywords)
        and "Sent by" not in (ast.get_docstring(node) or "")
    ]


def names(path: str, text: str) -> list[str]:
    """No name of a module, folder, class or function is, or ends in, a word of NOT_NAMES."""
    modules = [part.removesuffix(".py") for part in path.split("/")]
    defined = [node.name for node in nodes(text) if isinstance(node, ast.ClassDef | Function)]
    return [f"{path}: {name} says nothing; name what it does" for name in modules + defined if _says_nothing(name)]


def _says_nothing(name: str) -> bool:
    words = (
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
        .lower()
        .replace("-", "_")
        .strip("_")
        .split("_")
    )
    return words[-1] in NOT_NAMES or words[-1].removesuffix("s") in NOT_NAMES


def bare_except(path: str, text: str) -> list[str]:
    """An `except` names the exceptions that it handles."""
    return [
        f"{path}:{node.lineno}: bare except"
        for node in nodes(text)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def unfinished(path: str, text: str) -> list[str]:
    """No text has a marker of unfinished work."""
    return [f"{path}:{line}: {match}" for line, match in _matches(UNFINISHED, text)]


def machine_paths(path: str, text: str) -> list[str]:
    """No file contains a path of somebody's machine."""
    return [f"{path}:{line}: {match} is a path of one machine" for line, match in _matches(MACHINE_PATH, text)]


def registry_hosts(path: str, text: str) -> list[str]:
    """No file names a package registry: whoever installs chooses one."""
    return [f"{path}: names the registry {host}" for host in HOSTS if host in text.lower()]


def recipes(path: str, text: str) -> list[str]:
    """The justfile has at most RECIPES_MAX public recipes."""
    found = re.findall(r"^([a-z][a-z0-9-]*)[^:=\n]*:(?!=)", text, re.MULTILINE)
    return [f"{path}: {len(found)} recipes, {RECIPES_MAX} at most"] if len(found) > RECIPES_MAX else []


def decisions(paths: Iterable[str]) -> list[str]:
    """Records of decisions are numbered 1, 2, 3… without gaps or duplicates."""
    numbers = [
        int(match[1]) for path in sorted(paths) if (match := re.fullmatch(r"docs/adr/(\d{4})-[a-z0-9-]+\.md", path))
    ]
    return [] if numbers == list(range(1, len(numbers) + 1)) else [f"docs/adr: numbered {numbers}"]


def decision_costs(path: str, text: str) -> list[str]:
    """Every record of a decision has a section “What it costs” with at least one item."""
    return [] if re.search(r"^## What it costs\n\n- ", text, re.MULTILINE) else [f"{path}: no “What it costs”"]


def packages_decided(requirements: str, records: Iterable[str]) -> list[str]:
    """Every required package is named in a record of a decision."""
    known = set(re.findall(r"`([a-z0-9-]+)`", "\n".join(records)))
    asked = [line.split("#")[0].strip() for line in requirements.splitlines() if not line.startswith("-")]
    return [f"{name}: no record in docs/adr says why it is here" for name in asked if name and name not in known]


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, str]]:
    for match in pattern.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[0]
