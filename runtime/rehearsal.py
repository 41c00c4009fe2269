"""Goes through the first steps of a run, and leaves no trace (acts on the interpreter).

In the template, so that the interpreter specialises that code (PEP 659) in shared memory. In the process that stands ready
to be the next run, so that the pages which every run writes to are its own before anybody waits for it: each costs some
microseconds. No loop, thread, module or signal of it is there when it returns; and no task of it took a number, since a
run's tasks are numbered from the same start in each of its lives.
"""

import asyncio
import linecache
import signal
import sys
from typing import Final

from manifests import schema
from runtime import records
from runtime.hand import Hand
from runtime.link import Link
from runtime.loop import new_loop
from runtime.main import Life
from runtime.redact import Redactor
from runtime.settings import Settings
from wire import codec, headers, launch, limits

_MODULE: Final = "rehearsed_in_the_wings"
_CODE: Final = b"""from runtime import Call, Hand


class Rehearsed(Hand):
    async def say(self, call: Call, text: str) -> dict[str, object]:
        return {"text": text}
"""
_HAND: Final = schema.HandSection(
    name="rehearsed", version="1.0.0", description="", entry=f"{_MODULE}:Rehearsed", kind="service", autonomy="readonly"
)


def rehearse() -> None:
    """From the launch packet to Ready, without a bus."""
    term = signal.getsignal(signal.SIGTERM)
    life, loop = _raised()
    loop.add_signal_handler(signal.SIGTERM, life.stop, "SIGTERM")
    try:
        loop.run_until_complete(loop.create_task(_play(life), name="rehearsal"))
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, term)
        loop.close()
        sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "_name", "") != _HAND.name]
        sys.modules.pop(_MODULE, None)
        linecache.cache.pop(f"{_HAND.name}/{_MODULE}.py", None)


def _raised() -> tuple[Life, asyncio.SelectorEventLoop]:
    """What `join` makes, but for the bus."""
    told = launch.Launch(
        run="r-rehearsed", hand="h-rehearsed", name=_HAND.name, version=_HAND.version,
        manifest=schema.encode(schema.Manifest(hand=_HAND)), files={}, settings={},
        rlimits=launch.Rlimits(memory=0, cpu=0, processes=0, open_files=0, file_size=0), uid=None, server_key=b"",
        seed=0, serve="", scratch="", state="", require=(), descriptors=(),
    )  # fmt: skip
    launch.decode(launch.encode(launch.Go()))
    launch.decode(launch.encode(told))
    manifest = schema.decode(told.manifest)
    settings = Settings(manifest.settings, {})
    records.redact(Redactor(settings.secrets()))
    records.route_everything()
    records.logger()
    loop, selector = new_loop()
    link = object.__new__(Link)  # never joined: its threads would outlive this
    for header in (headers.Hello(version=limits.PROTOCOL), headers.Ready()):
        codec.decode_from_run(codec.encode(header))
    start = launch.Start(launch=told, code={f"{_MODULE}.py": _CODE}, descriptors={}, public=b"", secret=b"")
    return Life(start, manifest, settings, link, loop, selector, None, None), loop


async def _play(life: Life) -> None:
    """What `Life` does until its Hand has started."""
    async with asyncio.TaskGroup() as group:
        hand: Hand = life._hand(group)
        starting = asyncio.get_running_loop().create_task(hand.start(), name="start")  # a group's take a number
        await asyncio.wait((starting,), return_when=asyncio.FIRST_COMPLETED)
