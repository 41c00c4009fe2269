"""Imports the package `mcp` without parts that the importing run never uses (acts on the interpreter).

An import of any module of `mcp` imports all of it: its client can be tested against a server in the same process, and so
imports the servers, with a web framework. Inside leaving_out(), a part that it names is an empty module whose every name is a
class without instances. Afterwards the part can be imported as usual: docs/adr/0022.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent:
    """Replaces every name imported from a part that is left out."""

    def __init__(self, *_: object, **__: object) -> None:
        """Raises RuntimeError."""
        raise RuntimeError("this part of `mcp` was left out when the package was imported")


class _Empty(MetaPathFinder, Loader):
    """Finds an empty module for each part and each of its submodules."""

    def __init__(self, parts: tuple[str, ...]) -> None:
        self._parts = parts

    def has(self, name: str) -> bool:
        """Whether a module is left out."""
        return any(name == part or name.startswith(f"{part}.") for part in self._parts)

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if self.has(fullname) else None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leaves it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = _any


def _any(name: str) -> type[_Absent]:
    """The value of any name in an empty module. Raises AttributeError for names that Python itself looks up."""
    if name.startswith("__"):
        raise AttributeError(name)
    return _Absent


@contextmanager
def leaving_out(*parts: str) -> Iterator[None]:
    """Leaves these modules and their submodules out of the imports in the block; modules already imported stay."""
    empty = _Empty(tuple(part for part in parts if part not in sys.modules))
    sys.meta_path.insert(0, empty)
    try:
        yield
    finally:
        sys.meta_path.remove(empty)
        for name in [name for name in sys.modules if empty.has(name)]:
            del sys.modules[name]
            package, _, last = name.rpartition(".")
            if package in sys.modules:
                vars(sys.modules[package]).pop(last, None)
