"""What the `run` of a task Hand takes, read from its code and never run (pure).

Separate because a Hand's work declares no params: what can be seen without running it is its `async def run(self, …)`.
Where that cannot be told, so that nothing wrong is said, the answer is that anything may be given.
"""

import ast
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

_TYPES: Final = {"str": "string", "int": "int", "float": "float", "bool": "bool", "bytes": "bytes"}
_TYPES_OF: Final = {"list": "list", "dict": "dict", "Mapping": "dict", "Sequence": "list"}


class Signature(Struct, frozen=True):
    """params: name → type, with ? where there is a default; None: unknown. more: it takes any others. found: it is there."""

    params: Mapping[str, str] | None = None
    more: bool = False
    found: bool = True


UNKNOWN: Final = Signature()


def of_entry(entry: str, files: Mapping[str, bytes]) -> Signature:
    """The signature of `run` in the class that `entry` ("main:Greeter") names, in a Hand of these files."""
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
    """The type of a param as its annotation says; `any` for what is none of ours."""
    match annotation:
        case ast.Name(id=name) if name in _TYPES or name in _TYPES_OF:
            of = {**_TYPES, **_TYPES_OF}[name]
        case ast.Subscript(value=ast.Name(id=name)) if name in _TYPES_OF:
            of = _TYPES_OF[name]
        case _:
            of = "any"
    return f"{of}?" if may_miss else of
