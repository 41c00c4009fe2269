"""The rules about imports, as pure functions of a file's path and text: what kernel, pure packages and Hands may import."""

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
PACKAGES: Final = frozenset(BELOW)

KERNEL_FORBIDDEN: Final = frozenset({"asyncio", "http", "pickle", "sqlite3", "urllib"})
KERNEL_ALLOWED: Final = frozenset(sys.stdlib_module_names) - KERNEL_FORBIDDEN | {
    "kernel",
    "manifests",
    "msgspec",
    "nacl",
    "psutil",
    "structlog",
    "wire",
    "zmq",
}
CLI_ALLOWED: Final = KERNEL_ALLOWED | {"click", "tomli_w"}

# Pure packages may import only what has no clock, no randomness and no descriptor. Time zone rules are a table, like those of
# idna, but Python keeps them in files: manifests/zones.py reads those of the pinned package (docs/adr/0030).
PURE_ALLOWED: Final = frozenset(
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
    | {"yaml"}  # only the events of its parser, from a text (docs/adr/0046)
)
PURE_CALLS_FORBIDDEN: Final = frozenset(
    {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}  # names
    | {"now", "today", "utcnow", "file_digest", "randombytes", "crypto_sign_keypair", "crypto_box_keypair"}
)


class Import(NamedTuple):
    """One import: the module's dotted name and the line."""

    line: int
    module: str


def imports(text: str) -> Iterator[Import]:
    """Every module that a file imports, also inside functions; relative imports are left out."""
    for node in nodes(text):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield Import(node.lineno, node.module)


def kernel(path: str, text: str) -> list[str]:
    """The kernel imports only KERNEL_ALLOWED; its command line two packages more."""
    allowed = CLI_ALLOWED if path.startswith("kernel/cli/") else KERNEL_ALLOWED
    return [
        f"{path}:{line}: the kernel does not import {module}"
        for line, module in imports(text)
        if module.split(".")[0] not in allowed
    ]


def pure_imports(path: str, text: str) -> list[str]:
    """`wire` and `manifests` import only PURE_ALLOWED and themselves, and `manifests` also `wire`."""
    allowed = PURE_ALLOWED | {"wire"} | ({"manifests"} if path.startswith("manifests/") else set())
    return [
        f"{path}:{line}: a pure package does not import {module}"
        for line, module in imports(text)
        if module not in allowed and module.split(".")[0] not in allowed
    ]


def pure_calls(path: str, text: str) -> list[str]:
    """`wire` and `manifests` open, print and prompt for nothing; clock and randomness are passed to them."""
    return [
        f"{path}:{node.lineno}: a pure package does not call {name}"
        for node in nodes(text)
        if isinstance(node, ast.Call) and (name := _called(node.func)) in PURE_CALLS_FORBIDDEN
    ]


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute) and function.attr not in ("compile", "open"):  # re.compile, seal.open
        return function.attr
    return ""


def hand(path: str, text: str, own: Collection[str], others: Collection[str]) -> list[str]:
    """A Hand imports what it links and its own modules: never `kernel`, `hands`, or a module of another Hand.

    own, others: names of the modules in its folder, and in the other Hands' folders.
    """
    refused = ({"hands", "kernel"} | set(others)) - set(own) - set(sys.stdlib_module_names)
    return [
        f"{path}:{line}: a Hand does not import {module}"
        for line, module in imports(text)
        if module.split(".")[0] in refused
    ]


def layers(path: str, text: str) -> list[str]:
    """Imports point down, and no other package imports the kernel: it is reached over the bus."""
    package = path.split("/")[0]
    return [
        f"{path}:{line}: {package} does not import {module}"
        for line, module in imports(text)
        if module.split(".")[0] in PACKAGES - {package} - BELOW[package]
    ]
