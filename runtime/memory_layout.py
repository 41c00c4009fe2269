"""Lays out the template's memory (acts on the interpreter): objects that every run uses lie together on few pages.

A run copies each shared page that it writes to, and calling a function, reading a constant or looking up a name changes
reference counts, and so writes to the object's page. docs/adr/0022-memory-of-runs.md says what that costs and what was
tried. Nothing here changes what any code does.
"""

import ctypes
import gc
import os
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from types import CodeType, FunctionType, ModuleType
from typing import Final
from weakref import getweakrefcount

_POOL: Final = 16 * 1024
_SIZES: Final = range(48, 513, 16)
_HEAP_SIZES: Final = (*range(4_104, 1_032, -256), *range(1_032, 8, -16))
_AT_THE_END: Final = 100_000
_HEAP_MOST: Final = 4 * 1024 * 1024
_PATIENCE: Final = 50_000
"""Bytes of one pool of CPython's small objects, and of the objects that have their own pools (Objects/obmalloc.c); sizes
that malloc cuts from gaps, a size it has no gap for, and the most bytes spent on filling gaps; and the number of small
objects after which they are found not to be allocated as expected."""

_KEPT: Final = ("__kwdefaults__", "__qualname__", "__module__", "__doc__", "__type_params__", "__annotate__")
"""Attributes of a function that its constructor does not set."""

_fill: list[bytes] = []


def lay_together(codes: Container[CodeType], modules: Container[str]) -> list[CodeType]:
    """Moves this code, and all code of these modules, together, with its functions. Returns the new code objects."""
    functions = [one for one in gc.get_objects() if type(one) is FunctionType]
    moved = [one for one in functions if one.__code__ in codes or one.__module__ in modules]
    del functions
    laid = _lay_code(moved)
    _lay_functions(moved)
    return laid


def keep_names(path: str, codes: Iterable[CodeType]) -> None:
    """Writes the names that this code uses to a file, one per line, if that is possible.

    Python interns each name once, where its first user put it: in the course of the imports, all over the memory. So the next
    template interns these first (kernel/__init__.py).
    """
    names, was = "\n".join(sorted(set(chain.from_iterable(map(_names, codes))))), ""
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        was = file.read()
    if names == was:
        return
    own = f"{path}.{os.getpid()}"
    with suppress(OSError):
        with open(own, "w", encoding="utf-8") as file:
            file.write(names)
        os.chmod(own, 0o644)  # for other users' templates; it holds no secrets
        os.replace(own, path)
    with suppress(OSError):
        os.unlink(own)  # if it was not renamed


def fill_gaps() -> None:
    """Fills the gaps between objects, so that objects made from now on lie together.

    In a gap, each new object would make another shared page a run's own, and leave the old one to the template alone.
    """
    _fill_heap()
    for size in _SIZES:
        _fill.extend(_fillers(size))


def _lay_code(functions: Sequence[FunctionType]) -> list[CodeType]:
    """Gives these functions copies of their code, and of the texts in it. Returns the copies."""
    before = [one.__code__ for one in functions]  # kept alive, so that its place is not reused
    texts = {text: text[:1] + text[1:] for text in chain.from_iterable(map(_texts, before))}
    for function, code in zip(functions, before, strict=True):
        function.__code__ = _copied(code, texts)
        function.__name__ = texts.get(function.__name__, function.__name__)
        function.__qualname__ = texts.get(function.__qualname__, function.__qualname__)
    return [one.__code__ for one in functions]


def _lay_functions(functions: Sequence[FunctionType]) -> None:
    """Replaces each function that only its module or class refers to by a copy."""
    home_of_one = {"": lambda: None}
    (alone,) = _refcounts([*home_of_one.values()])
    found = [
        (home, name, one)
        for (home, name, one), count in zip(map(_home, functions), _refcounts(functions), strict=True)
        if count == alone and vars(home).get(name) is one and not getweakrefcount(one)
    ]
    copies = [
        FunctionType(one.__code__, one.__globals__, one.__name__, one.__defaults__, one.__closure__)
        for *_, one in found
    ]
    for (home, name, one), copy in zip(found, copies, strict=True):
        for kept in _KEPT:
            if hasattr(one, kept):
                setattr(copy, kept, getattr(one, kept))
        if getattr(one, "__annotate__", None) is None:
            copy.__annotations__ = one.__annotations__
        vars(copy).update(vars(one))
        (type if isinstance(home, type) else ModuleType).__setattr__(home, name, copy)


def _refcounts(those: Sequence[object]) -> list[int]:
    """The reference count of each object, increased by the same number for all."""
    return [sys.getrefcount(one) for one in those]


def _home(function: FunctionType) -> tuple[type | ModuleType, str, FunctionType]:
    """(the module or class that should hold a function, its name there, the function)."""
    home: object = sys.modules.get(function.__module__)
    *outer, name = function.__qualname__.split(".")
    for part in outer:
        home = vars(home).get(part) if isinstance(home, (ModuleType, type)) else None
    return home if isinstance(home, (ModuleType, type)) else ModuleType(""), name, function


def _texts(code: CodeType) -> Iterator[str]:
    """The texts in code that its functions use: names, and constants except docstrings."""
    yield from (code.co_name, code.co_qualname)
    for one in code.co_consts[1:]:
        if isinstance(one, str):
            yield one
    for one in _inner(code):
        yield from _texts(one)


def _names(code: CodeType) -> Iterator[str]:
    """The texts in code that Python interns: names, and constants that look like names."""
    for name in (*code.co_names, *code.co_varnames, *_texts(code)):
        if name.isidentifier():
            yield name
    for one in _inner(code):
        yield from _names(one)


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (one for one in code.co_consts if isinstance(one, CodeType))


def _copied(code: CodeType, texts: dict[str, str]) -> CodeType:
    constants = (
        _copied(one, texts) if isinstance(one, CodeType) else texts.get(one, one) if type(one) is str else one
        for one in code.co_consts
    )
    return code.replace(co_consts=tuple(constants), co_name=texts[code.co_name], co_qualname=texts[code.co_qualname])


def _fillers(size: int, pool: int = _POOL) -> list[bytes]:
    """Makes objects of this size until they fill the gaps between others and lie in a row that fills a pool.

    Returns [] if they come to lie in no such row, since this Python allocates differently.
    """
    taken: list[bytes] = []
    row, enough = 0, pool // size - 4
    while row < enough:
        if len(taken) > _PATIENCE:
            return []
        taken.append(bytes(size - bytes.__basicsize__ - 8))
        row = row + 1 if len(taken) > 1 and id(taken[-1]) - id(taken[-2]) == size else 0
    return taken[: -row - 1]


def _fill_heap(most: int = _HEAP_MOST) -> int:
    """Fills the gaps of malloc(3), large ones first, up to the end of its heap. Returns the bytes used, for good."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_size_t, (ctypes.c_size_t,)
    end, taken = malloc(_AT_THE_END), 0
    for size in _HEAP_SIZES:
        while taken < most and malloc(size) < end:
            taken += size
    return taken
