"""The import law as pure functions over a file's path and text: what kernel, pure packages and Hands may import."""

import ast
import sys
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from tests.house import nodes

BELOW: Final = {
    "hands": frozenset({"runtime", "memory", "manifests", "wire"}),
    "kernel": frozenset({"manifests", "wire"}),
    "runtime": frozenset({"manifests", "wire"}),
    "memory": frozenset({"manifests", "wire"}),
    "manifests": frozenset({"wire"}),
    "wire": frozenset[str](),
}
OURS: Final = frozenset(BELOW)

KERNEL_NOT: Final = frozenset({"asyncio", "http", "pickle", "sqlite3", "urllib"})
KERNEL_MAY: Final = frozenset(sys.stdlib_module_names) - KERNEL_NOT | {
    "kernel",
    "manifests",
    "msgspec",
    "nacl",
    "psutil",
    "structlog",
    "wire",
    "zmq",
}
CLI_MAY: Final = KERNEL_MAY | {"click", "tomli_w"}

# What decides may import only what cannot reach outside: no clock, no randomness, no descriptor. The rules of time zones are
# a table, as idna's are, which Python keeps in files: manifests/zones.py reads those of the pinned package (docs/adr/0030).
PURE_MAY: Final = frozenset(
    {"abc", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "datetime", "difflib", "enum"}
    | {"cronsim", "importlib.resources", "zoneinfo"}
    | {
        "fnmatch",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "idna",
        "ipaddress",
        "itertools",
        "json",
        "keyword",
        "math",
        "msgspec",
    }
    | {"nacl.bindings", "nacl.exceptions", "operator", "re", "string", "struct", "tomllib", "types", "typing"}
    | {"ast", "unicodedata", "urllib.parse", "warnings"}
    | {"yaml"}  # the events of its parser, which comes from a text (docs/adr/0046)
)
PURE_CALLS_NOT: Final = frozenset(
    {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}  # names
    | {"now", "today", "utcnow", "file_digest", "randombytes", "crypto_sign_keypair", "crypto_box_keypair"}
)


class Import(NamedTuple):
    """One imported module, dotted, with the line it is imported on."""

    line: int
    module: str


def imports(text: str) -> Iterator[Import]:
    """Every module that a file imports anywhere, also inside functions; its own package's relative ones left out."""
    for node in nodes(text):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield Import(node.lineno, node.module)


def kernel(path: str, text: str) -> list[str]:
    """The kernel stands on a short list; its command line on two packages more."""
    may = CLI_MAY if path.startswith("kernel/cli/") else KERNEL_MAY
    return [
        f"{path}:{line}: the kernel does not import {module}"
        for line, module in imports(text)
        if module.split(".")[0] not in may
    ]


def pure_imports(path: str, text: str) -> list[str]:
    """`wire` and `manifests` import what cannot act, themselves, and (from `manifests`) `wire`."""
    may = PURE_MAY | {"wire"} | ({"manifests"} if path.startswith("manifests/") else set())
    return [
        f"{path}:{line}: a pure package does not import {module}"
        for line, module in imports(text)
        if module not in may and module.split(".")[0] not in may
    ]


def pure_calls(path: str, text: str) -> list[str]:
    """`wire` and `manifests` open, print, ask for nothing, and are handed clock and randomness."""
    return [
        f"{path}:{node.lineno}: a pure package does not call {name}"
        for node in nodes(text)
        if isinstance(node, ast.Call) and (name := _called(node.func)) in PURE_CALLS_NOT
    ]


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute) and function.attr not in ("compile", "open"):  # re.compile, seal.open
        return function.attr
    return ""


def hand(path: str, text: str, own: Collection[str], others: Collection[str]) -> list[str]:
    """A Hand imports what it links and its own modules: never kernel, `hands`, or a module of another Hand.

    `own` and `others` are the bare names of the modules in its folder and in the other Hands' folders.
    """
    refused = ({"hands", "kernel"} | set(others)) - set(own) - set(sys.stdlib_module_names)
    return [
        f"{path}:{line}: a Hand does not import {module}"
        for line, module in imports(text)
        if module.split(".")[0] in refused
    ]


def layers(path: str, text: str) -> list[str]:
    """Imports point down, and nobody imports the kernel: it is reached over the bus."""
    package = path.split("/")[0]
    return [
        f"{path}:{line}: {package} does not import {module}"
        for line, module in imports(text)
        if module.split(".")[0] in OURS - {package} - BELOW[package]
    ]
