"""Imports the package without those of its parts that the importing run never uses (acts on the interpreter).

Whoever imports anything of `mcp` gets all of it: its client can be tried out against a server in the same process, and so
imports the servers, with a web framework of their own. While leaving_out() lasts, a part that it names is an empty module,
each of whose names is a class that has no instances. Afterwards it can be imported by whoever wants it: docs/adr/0022.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent:
    """Stands for whatever is imported from a part that is left out."""

    def __init__(self, *_: object, **__: object) -> None:
        """Raises RuntimeError."""
        raise RuntimeError("this part of `mcp` was left out when the package was imported")


class _Empty(MetaPathFinder, Loader):
    """Finds an empty module for each part, and for all that is in it."""

    def __init__(self, parts: tuple[str, ...]) -> None:
        self._parts = parts

    def has(self, name: str) -> bool:
        """Whether a module is left out."""
        return any(name == part or name.startswith(f"{part}.") for part in self._parts)

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if self.has(fullname) else None

    def create_module(self, spec: ModuleSpec) -> None:
        """As Python does it."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = _any


def _any(name: str) -> type[_Absent]:
    """What an empty module has by a name. Raises AttributeError for those that Python itself looks for."""
    if name.startswith("__"):
        raise AttributeError(name)
    return _Absent


@contextmanager
def leaving_out(*parts: str) -> Iterator[None]:
    """Import what is imported in this block without these modules and theirs; what is there already stays."""
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
