"""Runs the Hand's own bytes (acts on the interpreter): an importer over the verified files, which never reads a disk.

The bytes that were hashed against the seal are the bytes that run; a later change of a file is not seen. A Hand's modules
import each other by bare name; a name of Python, Maniple or a library is refused, not hidden.
"""

import importlib
import linecache
import posixpath
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from importlib._abc import Loader
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Final, cast

from runtime.errors import HandBroken
from runtime.resources import Resource

_HOUSE: Final = frozenset({"hands", "kernel", "manifests", "memory", "runtime", "wire"})

importlib.import_module("memory")
"""The only one of them that is not loaded before a run is confined; it defines nothing but its folder. That folder cannot
be listed later, which Python does for an import once something in it has changed."""


class HandFinder(Loader):
    """Finds and loads one Hand's modules. files: path → bytes. name: the Hand's, shown in tracebacks.

    The base classes in importlib.abc would do, too, but that module imports tempfile, shutil and all they need.
    """

    exec_module = SourceFileLoader.exec_module  # runs what get_code() returns

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        """Raises HandBroken if a module has the name of one of Python, Maniple or a library."""
        self._name = name
        self._modules = {_module(path): path for path in files if path.endswith(".py")}
        for module in tuple(self._modules):  # a folder of modules needs no __init__.py
            while module := module.rpartition(".")[0]:
                self._modules.setdefault(module, module.replace(".", "/") + "/__init__.py")
        self._files = files
        for module, path in self._modules.items():
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or top in _HOUSE or top in sys.modules:
                raise HandBroken(f"{path} would hide the module `{top}` of Python or a library: give it another name")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of one of the Hand's modules; None for others."""
        found = self._modules.get(fullname)
        if found is None:
            return None
        return ModuleSpec(fullname, self, origin=self._shown(found), is_package=found.endswith("/__init__.py"))

    def is_package(self, fullname: str) -> bool:
        """Whether the module is a package."""
        return self._path(fullname).endswith("/__init__.py")

    def get_source(self, fullname: str) -> str:
        """The module's source text, also for tracebacks."""
        from importlib.util import decode_source

        return decode_source(self._files.get(self._path(fullname), b""))

    def get_code(self, fullname: str) -> CodeType:
        """Compiles the module. Raises SyntaxError."""
        path = self._path(fullname)
        shown = self._shown(path)
        lines = cast("list[str]", _Lines(partial(self.get_source, fullname)))  # a list as far as linecache needs one
        linecache.cache[shown] = (len(self._files.get(path, b"")), None, lines, shown)
        code = compile(self._files.get(path, b""), shown, "exec", dont_inherit=True)
        assert isinstance(code, CodeType)
        return code

    def get_resource_reader(self, fullname: str) -> Resource | None:
        """The folder of a package, for importlib.resources; None for another module."""
        return Resource(self._files, posixpath.dirname(self._path(fullname))) if self.is_package(fullname) else None

    def _path(self, fullname: str) -> str:
        try:
            return self._modules[fullname]
        except KeyError:
            raise ImportError(f"{self._name} has no module {fullname}", name=fullname) from None

    def _shown(self, path: str) -> str:
        return f"{self._name}/{path}"


class _Lines:
    """The lines of a module's source, read only when a traceback shows one."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> str:
        return self._all[index]

    @cached_property
    def _all(self) -> list[str]:
        return self._read().splitlines(keepends=True)


def load(name: str, files: Mapping[str, bytes], entry: str) -> object:
    """Imports what `entry` ("main:Files") names, from these bytes. Raises HandBroken if it is missing.

    Afterwards nothing is imported from the working folder, which is the Hand's scratch.
    """
    sys.path[:] = [folder for folder in sys.path if folder.startswith("/")]
    sys.meta_path.insert(0, HandFinder(name, files))
    module_name, _, attribute = entry.partition(":")
    path = module_name.replace(".", "/")
    if f"{path}.py" not in files and f"{path}/__init__.py" not in files:
        raise HandBroken(
            f"entry = {entry!r}, but the Hand has no file {path}.py: mend the entry, or add it and seal again"
        )
    module = importlib.import_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise HandBroken(
            f"entry = {entry!r}, but {path}.py has no {attribute}: mend the entry, and seal again"
        ) from None


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
