"""Puts off imports of modules that libraries import at once and rarely use (acts on the interpreter).

Inside putting_off(), such a library gets a stand-in. When it first needs an attribute of it, the module is imported, and the
attribute is the module's. Everybody else imports the module as usual. docs/adr/0022-memory-of-runs.md says what this saves.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


@contextmanager
def putting_off(modules: Mapping[str, Mapping[str, object]]) -> Iterator[None]:
    """Gives imports in the block stand-ins for these modules, unless they are imported already.

    modules: by name, the attributes that the module has as long as it is not imported: those that libraries read at once.
    If a library reads another one at once, the module is imported at once.
    """
    later = {name: _Later(name, until) for name, until in modules.items() if name not in sys.modules}
    sys.modules |= later
    try:
        yield
    finally:
        for name, stand_in in later.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def seldom() -> dict[str, dict[str, object]]:
    """For putting_off(): what asyncio, subprocess, pathlib and zmq import and few runs use."""
    return {
        "asyncio.sslproto": {},
        "locale": {},
        "pickle": {"DEFAULT_PROTOCOL": None},  # None means the same to pickle
        "ssl": {"SSLSocket": _NoSocket},  # asyncio asks of each socket whether it is one
        "urllib.parse": {"quote_from_bytes": _quote_from_bytes},
    }


class _Later(ModuleType):
    """A stand-in for the module of this name."""

    def __init__(self, name: str, until: Mapping[str, object]) -> None:
        super().__init__(name)
        self._until = until

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # Python asks for these while it imports
            raise AttributeError(name)
        if sys.modules.get(self.__name__, self) is self:
            if name in self._until:
                return self._until[name]
            sys.modules.pop(self.__name__, None)
        return getattr(import_module(self.__name__), name)


class _NoSocket:
    """The class of no socket, since `ssl` has made none."""


def _quote_from_bytes(*arguments: Any) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(*arguments)
