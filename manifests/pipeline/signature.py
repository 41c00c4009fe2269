"""The params of a task Hand's `run`, by static analysis of its code (pure).

A Hand's work declares no params, so they are taken from its `async def run(self, …)`. If they cannot be determined, the
result is UNKNOWN, and anything may be given.
"""

import ast
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

_TYPES: Final = {"str": "string", "int": "int", "float": "float", "bool": "bool", "bytes": "bytes"}
_TYPES_OF: Final = {"list": "list", "dict": "dict", "Mapping": "dict", "Sequence": "list"}


class Signature(Struct, frozen=True):
    """params: name → type, with ? if it has a default; None: unknown. more: it has **kwargs. found: the class has a `run`."""

    params: Mapping[str, str] | None = None
    more: bool = False
    found: bool = True


UNKNOWN: Final = Signature()


def of_entry(entry: str, files: Mapping[str, bytes]) -> Signature:
    """Return the signature of `run` in the class that `entry` ("main:Greeter") names. files: the Hand's, by path."""
    module, _, name = entry.partition(":")
    try:
        tree = ast.parse(files[module.replace(".", "/") + ".py"])
    except (KeyError, SyntaxError, ValueError, RecursionError, MemoryError):
        return UNKNOWN
    made = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if made is None:
        return UNKNOWN
    work = next((node for node in made.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "run"), None)
    if work is None:
        match made.bases:
            case [ast.Name(id="Hand")]:
                return Signature(found=False)
        return UNKNOWN
    if work.decorator_list:
        return UNKNOWN
    parameters = work.args
    positional = [*parameters.posonlyargs, *parameters.args][1:]
    least = len(positional) - len(parameters.defaults)
    params = {one.arg: _type(one.annotation, may_miss=at >= least) for at, one in enumerate(positional)}
    for one, default in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True):
        params[one.arg] = _type(one.annotation, may_miss=default is not None)
    return Signature(params=params, more=parameters.kwarg is not None)


def _type(annotation: ast.expr | None, *, may_miss: bool) -> str:
    """Return the type of a param by its annotation; `any` if it has no equivalent."""
    match annotation:
        case ast.Name(id=name) if name in _TYPES or name in _TYPES_OF:
            of = {**_TYPES, **_TYPES_OF}[name]
        case ast.Subscript(value=ast.Name(id=name)) if name in _TYPES_OF:
            of = _TYPES_OF[name]
        case _:
            of = "any"
    return f"{of}?" if may_miss else of
