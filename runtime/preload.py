"""What the template loads before it forks, so that every run shares it and none pays for it (acts on the interpreter).

It leaves no loop, no zmq context and no thread, none of which survives a fork.
"""

import ctypes
import gc
import logging
import sys
import threading
from collections.abc import Callable, Container
from importlib import import_module
from importlib.abc import InspectLoader
from importlib.util import find_spec
from types import CodeType, FunctionType
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
    "runtime.bridge",
    "runtime.main",
    "runtime.proxy",
    "runtime.wasm.hand",
    "traceback",
    "uuid",
    "zmq",
)
"""What nearly every run needs."""

COMPILED: Final = (
    "manifests.skills.folder",
    "manifests.skills.front_matter",
    "manifests.skills.reading",
    "runtime.agent.actions",
    "runtime.agent.briefing",
    "runtime.agent.guard",
    "runtime.agent.hand",
    "runtime.agent.machine",
    "runtime.agent.marks",
    "runtime.agent.mending",
    "runtime.agent.placing",
    "runtime.agent.replies",
    "runtime.agent.results",
    "runtime.agent.skills",
    "runtime.agent.talk",
    "runtime.agent.tools",
    "runtime.agent.turn",
    "runtime.models.catalogue",
    "runtime.models.counting",
    "runtime.models.messages",
    "runtime.models.pricing",
    "runtime.models.rows",
    "runtime.models.schemas",
    "runtime.pipeline.evaluate",
    "runtime.pipeline.hand",
    "runtime.pipeline.machine",
    "runtime.skills",
    "simpleeval",
)
"""What only some runs import, in processes that can leave no bytecode for the next: it is made here, and not kept."""

_AROUND: Final = ("kernel.", "manifests.confinement.")
"""Where that lies which is executed in a run, and not in a rehearsal: what whoever preloads has brought along for it."""

_REHEARSALS: Final = 16

_POOL: Final = 16 * 1024
_SIZES: Final = range(48, 513, 16)
_HEAP_SIZES: Final = (*range(4_104, 1_032, -256), *range(1_032, 8, -16))
_AT_THE_END: Final = 100_000
_HEAP_MOST: Final = 4 * 1024 * 1024
_PATIENCE: Final = 50_000
"""Bytes of one pool of CPython's small objects, and of the objects that have pools of their own (Objects/obmalloc.c); of
what malloc cuts from gaps, of what it has no gap for, and of all that is spent on filling them; and how many small
objects are tried before they are found not to lie as expected."""


def preload() -> tuple[Callable[[], None], Callable[[], None]]:
    """Import all of MODULES, and make once what every run would make again. Called by name, once, in the template.

    What it returns goes through a whole run, for a process that stands ready to be one; and settles the memory, for when
    nothing more is made in the template before it forks.
    """
    around = {name for name in sys.modules if name.startswith(_AROUND)}
    for name in MODULES:
        import_module(name)
    for name in COMPILED:
        _compile(name)
    from runtime.rehearsal import rehearse

    rehearse()
    _lay_together(_executed(rehearse), around)
    sys._clear_type_cache()  # it holds names of what was imported, and a run would write in each one's place
    for _ in range(_REHEARSALS):
        _forked()
        rehearse()
    return rehearse, settle


def settle() -> None:
    """Lay the template's memory to rest: what is made from now on is a run's own."""
    gc.collect()
    _fill_heap()
    _fill.append(tuple(filler for size in _SIZES for filler in _fillers(size)))
    gc.freeze()


def _forked() -> None:
    """What Python does first in a process that was forked; nothing changes where there is one thread."""
    threading._after_fork()  # type: ignore[attr-defined]
    logging._after_at_fork_child_reinit_locks()  # type: ignore[attr-defined]


def _executed(rehearse: Callable[[], None]) -> set[CodeType]:
    """The code that a run executes."""
    found: set[CodeType] = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, *_: found.add(frame.f_code))
    try:
        _forked()
        rehearse()
    finally:
        sys.setprofile(before)
    return found


def _lay_together(codes: Container[CodeType], modules: Container[str]) -> None:
    """Have this code, and all of these modules, lie together in memory: who runs it writes to it, if only to count it."""
    functions = [one for one in gc.get_objects() if type(one) is FunctionType]
    moved = [one for one in functions if one.__code__ in codes or one.__module__ in modules]
    before = [one.__code__ for one in moved]  # while it is there, nothing comes to lie in its place
    for function, code in zip(moved, before, strict=True):
        function.__code__ = _copied(code)


def _copied(code: CodeType) -> CodeType:
    return code.replace(co_consts=tuple(_copied(one) if isinstance(one, CodeType) else one for one in code.co_consts))


def _compile(name: str) -> None:
    """Have a module's bytecode lie beside it, if that can be written."""
    spec = find_spec(name)
    if spec is not None and isinstance(spec.loader, InspectLoader):
        spec.loader.get_code(name)


_fill: list[tuple[bytes, ...]] = []


def _fillers(size: int, pool: int = _POOL) -> list[bytes]:
    """Objects in the gaps between others of this size, until they come to lie in a row that fills a pool.

    While these live, a run's new objects come to lie together in pages of its own. In the gaps, each would make another
    shared page the run's, and leave the old one to the template alone. None when they come to lie in no such row, because
    this Python allocates in another way.
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
    """The same for the gaps of malloc(3), large ones first, up to the end of its heap; the bytes it took, for good."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_size_t, (ctypes.c_size_t,)
    end, taken = malloc(_AT_THE_END), 0
    for size in _HEAP_SIZES:
        while taken < most and malloc(size) < end:
            taken += size
    return taken
