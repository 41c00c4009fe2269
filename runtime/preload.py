"""Loads into the template, before it forks, what every run shares (acts on the interpreter).

It leaves no loop, no zmq context and no thread, none of which survives a fork.
"""

import gc
import logging
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from types import CodeType
from typing import Final

from runtime import memory_layout

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
    "traceback",
    "uuid",
    "zmq",
)
"""Modules that nearly every run needs."""

NOT_REHEARSED: Final = ("runtime.bridge", "runtime.proxy", "runtime.wasm.hand")
"""Modules that many runs need and a rehearsal does not: they are imported last, into gaps that moved objects have left."""

COMPILED: Final = (
    "asyncio.sslproto",
    "ipaddress",
    "locale",
    "manifests.skills.folder",
    "manifests.skills.front_matter",
    "manifests.skills.reading",
    "pickle",
    "runtime.agent.actions",
    "runtime.agent.answers",
    "runtime.agent.briefing",
    "runtime.agent.codes",
    "runtime.agent.conversation",
    "runtime.agent.decoding",
    "runtime.agent.digest",
    "runtime.agent.fitting",
    "runtime.agent.guard",
    "runtime.agent.hand",
    "runtime.agent.machine",
    "runtime.agent.marks",
    "runtime.agent.mending",
    "runtime.agent.outage",
    "runtime.agent.pictures",
    "runtime.agent.placing",
    "runtime.agent.replies",
    "runtime.agent.results",
    "runtime.agent.saying",
    "runtime.agent.sharing",
    "runtime.agent.skills",
    "runtime.agent.spending",
    "runtime.agent.tools",
    "runtime.agent.turn",
    "runtime.models.catalogue",
    "runtime.models.counting",
    "runtime.models.failures",
    "runtime.models.messages",
    "runtime.models.pricing",
    "runtime.models.rows",
    "runtime.models.schemas",
    "runtime.models.surrogates",
    "runtime.pipeline.actions",
    "runtime.pipeline.evaluate",
    "runtime.pipeline.hand",
    "runtime.pipeline.kept",
    "runtime.pipeline.machine",
    "runtime.skills",
    "shutil",
    "simpleeval",
    "ssl",
    "tempfile",
    "urllib.parse",
)
"""Modules that only some runs import. Runs cannot write bytecode, so it is written here; the modules are not kept."""

_AROUND: Final = ("kernel.", "manifests.confinement.")
"""Packages whose code a run executes and a rehearsal does not: the preloading process has loaded them."""

_REHEARSALS: Final = 16


def preload(names: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Imports all these modules, and makes once what every run would make again. Called by name, once, in the template.

    Returns two functions: one goes through a whole run, for a process that stands ready to be one; one settles the memory,
    once the template makes nothing more before it forks. names: the file to write the names that a run uses to, for the
    next template; "" for none.
    """
    around = {name for name in sys.modules if name.startswith(_AROUND)}
    for name in MODULES:
        import_module(name)
    from runtime.rehearsal import rehearse

    rehearse()
    memory_layout.fill_gaps()
    laid = memory_layout.lay_together(_executed(rehearse), around)
    if names:
        memory_layout.keep_names(names, laid)
    for name in NOT_REHEARSED:
        import_module(name)
    for name in COMPILED:
        _compile(name)
    sys._clear_type_cache()  # it holds names of imported things, and a run would overwrite each entry
    for _ in range(_REHEARSALS):
        _forked()
        rehearse()
    return rehearse, settle


def settle() -> None:
    """Freezes the template's memory: objects made from now on belong to a run."""
    gc.collect()
    memory_layout.fill_gaps()
    gc.freeze()


def _forked() -> None:
    """Does what Python does first in a forked process; with one thread nothing changes."""
    threading._after_fork()  # type: ignore[attr-defined]
    logging._after_at_fork_child_reinit_locks()  # type: ignore[attr-defined]


def _executed(rehearse: Callable[[], None]) -> set[CodeType]:
    """The code objects that a run executes."""
    found: set[CodeType] = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, *_: found.add(frame.f_code))
    try:
        _forked()
        rehearse()
    finally:
        sys.setprofile(before)
    return found


def _compile(name: str) -> None:
    """Writes a module's bytecode beside it, if that is possible."""
    spec = find_spec(name)
    if spec is not None and isinstance(spec.loader, SourceFileLoader):
        spec.loader.get_code(name)
