"""The entry point of the process of a kernel that `maniple up` starts (acts): kernel.main, with leaner libraries.

    python -c STARTER SEARCH-PATH kernel.cli.kernel_entry HOME READY

pathlib imports urllib, to make URLs of paths, and zmq imports pickle, to send objects. The kernel does neither, and the two
modules would take 600 KB of its memory (docs/adr/0022). Whoever imports them later gets them.
"""

import sys
from types import ModuleType
from typing import Never


class _Unused(ModuleType):
    """Takes the place of a module while a library imports it."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # Python asks for these while it imports
            raise AttributeError(name)
        return _refuse


def _refuse(*_: object) -> Never:
    raise RuntimeError("the kernel has imported pathlib and zmq without what only this needs")


def main(arguments: list[str]) -> None:
    """Run the kernel of a home, see kernel.main."""
    unused = {name: _Unused(name) for name in ("pickle", "urllib.parse") if name not in sys.modules}
    sys.modules |= unused
    import pathlib as pathlib

    import zmq as zmq

    for name in unused:
        del sys.modules[name]
    from kernel.main import main as run

    run(arguments)
