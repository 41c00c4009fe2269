"""What the template loads before it forks, so that every run shares it and none pays for it (acts on the interpreter).

It leaves no loop, no zmq context and no thread, none of which survives a fork.
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

_REHEARSALS: Final = 16


def preload() -> None:
    """Import all of MODULES, and make once what every run would make again. Called by name, once, in the template."""
    for name in MODULES:
        import_module(name)
    from manifests import schema
    from runtime import records

    records.logger()
    records.route_everything()
    sample = schema.HandSection(name="", version="", description="", entry="", kind="task", autonomy="readonly")
    schema.decode(schema.encode(schema.Manifest(hand=sample)))  # what msgspec works out about the types stays known
    for _ in range(_REHEARSALS):
        _rehearse()


def _rehearse() -> None:
    """Make a loop, run it and close it, so that the interpreter specialises that code (PEP 659) in shared memory."""
    import asyncio

    from runtime.loop import new_loop

    async def play() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))

    loop, _ = new_loop()
    loop.run_until_complete(play())
    loop.close()
