"""What the template loads before it forks, so that every run shares it and none pays for it (acts on the interpreter).

Only imports: no loop, no zmq context, no thread, none of which survives a fork.
"""

from importlib import import_module
from typing import Final

MODULES: Final = (
    "asyncio.selector_events",
    "concurrent.futures.thread",
    "hashlib",
    "importlib.util",
    "json",
    "linecache",
    "manifests.params",
    "manifests.settings",
    "runtime.main",
    "structlog",
    "traceback",
    "zmq",
)
"""What nearly every run needs."""


def preload() -> None:
    """Import all of MODULES and set up the log. Called by name, once, in the template."""
    for name in MODULES:
        import_module(name)
    import_module("runtime.records").logger()
