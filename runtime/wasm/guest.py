"""One call of a guest (acts through library.py): its own store and instance, limits, memory, metering.

A guest has its own thread, because its host functions must wait for the bus while the run's loop goes on. That loop receives
cancellations, watches deadlines, and makes every call itself: the thread passes it a coroutine, and waits. A guest on the
loop's thread would stop the loop it waits for, and one on its own stack (a greenlet) would move the frames that wasmtime
keeps pointers to. Nothing of one call is visible to the next: memory, tables and globals are new each time.

    guest = Guest(program, terms)
    guest.call("run", arguments)          on its thread; returns the answer's bytes, raises Ended or Exited
    guest.interrupt("deadline", why)      from the loop's thread
    guest.used()                          afterwards: its use of fuel, time and memory
"""

import asyncio
import ctypes
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from functools import lru_cache
from itertools import islice
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from runtime.wasm.ends import LONGEST_WHERE, MOST_NAMES, Ended, of_error, of_trap
from runtime.wasm.engine import Module
from runtime.wasm.library import (
    EXTERN_FUNC,
    EXTERN_MEMORY,
    AtEpoch,
    Extern,
    Func,
    Library,
    Memory,
    Value,
    items,
    load,
    message_of,
    text_of,
)
from runtime.wasm.library import Bytes as Vector
from runtime.wasm.seeded import Seeded
from wire.amounts import Used
from wire.limits import BODY_MAX

T = TypeVar("T")

TABLE_ELEMENTS: Final = 20_000
TABLES: Final = 4
"""The most entries of a table, and the most tables; they are not part of a guest's own memory."""

HOST_CALL: Final = 500
"""Fuel for a call of a host function, beside one unit per byte that it moves, so that a guest that does nothing else ends as
well."""

PIECE: Final = 64 * 1024
"""Bytes that a host function processes before it checks again for an interrupt."""

_NAME: Final = b"memory"
_ALLOCATE: Final = "maniple_alloc"


class Terms(Struct, frozen=True, kw_only=True):
    """The limits and inputs of one call. fuel: units. memory: bytes. time: the kernel's clock at its start, in microseconds.

    arguments, environment: of a WASI program, in WASI's order. say: takes one line of output and the name of its stream.
    keep: takes standard output unchanged.
    """

    fuel: int
    memory: int
    time: int
    seed: bytes
    arguments: tuple[bytes, ...]
    environment: tuple[bytes, ...]
    say: Callable[[str, str], None]
    keep: Callable[[bytes], None]


class Runnable(Protocol):
    """The program of a guest. linked: a wasmtime_instance_pre_t. loop: the run's. functions: for its imports."""

    module: Module
    linked: int
    loop: asyncio.AbstractEventLoop
    functions: tuple[Callable[..., int], ...]


class Guest:
    """One call. now: the kernel's time in microseconds, as of its last reply to this guest.

    output: the unfinished lines on descriptors 1 and 2.
    """

    def __init__(self, program: Runnable, terms: Terms) -> None:
        self.terms, self.now = terms, terms.time
        self.random = Seeded(terms.seed)
        self.output: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self.program, self._module, self._loop = program, program.module, program.loop
        self._library: Library = load()
        self._context = self._caller = 0
        self._waits: Future[object] | None = None
        self._waited, self._since = 0.0, 0.0
        self._end: BaseException | None = None
        self._interrupted: Ended | None = None
        self._peak = 0
        self._fuel = terms.fuel
        self._wall = 0
        self._instance = Func()

    # from the loop's thread -------------------------------------------------------------------------------------------

    def interrupt(self, code: str, text: str) -> None:
        """Ends the guest at its next branch or host function, unless it has ended."""
        if self._interrupted is None:
            self._interrupted = Ended(code, text)
        self._module.engine.tick()
        if (waits := self._waits) is not None:
            waits.cancel()

    def waited(self) -> float:
        """Seconds that it has waited for the loop. Only the kernel knows which of them count against the deadline."""
        since = self._since
        return self._waited + (time.monotonic() - since if since else 0.0)

    def used(self) -> Used:
        """Its use of fuel, time and memory; valid once `call` has returned."""
        return Used(fuel=self.terms.fuel - self._fuel, wall=self._wall, memory=self._peak)

    # on its own thread ------------------------------------------------------------------------------------------------

    def call(self, export: str, *inputs: bytes) -> bytes:
        """Makes an instance and calls an export with these inputs. Returns the answer. Raises Ended or Exited."""
        begun = time.monotonic_ns()
        library = self._library
        store = library.wasmtime_store_new(self._module.engine.pointer, None, None)
        self._context = library.wasmtime_store_context(store)
        try:
            _running.guest = self
            library.wasmtime_store_limiter(store, self.terms.memory, TABLE_ELEMENTS, 1, TABLES, 1)
            library.wasmtime_store_epoch_deadline_callback(store, at_epoch(), None, None)
            library.wasmtime_context_set_fuel(self._context, self.terms.fuel)
            library.wasmtime_context_set_epoch_deadline(self._context, 1)
            self.check()
            return self._call(export, inputs)
        finally:
            self._fuel = self._fuel_left()
            self._measure()
            _running.guest = None
            self._context = 0
            library.wasmtime_store_delete(store)
            self._wall = (time.monotonic_ns() - begun) // 1000

    def check(self) -> None:
        """Raises Ended if it was interrupted."""
        if self._interrupted is not None:
            raise self._interrupted

    def check_instance(self) -> None:
        """Raises Ended in a start function, which runs before there is an instance that could take data."""
        if not self._instance.store:
            raise Ended("malformed", "maniple.call cannot be used in a start function: use `_initialize`")

    def wait(self, work: Coroutine[object, object, T]) -> T:
        """Runs a coroutine on the loop and returns its result. Raises what it raises, or Ended if interrupted meanwhile."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._waits = future  # type: ignore[assignment]  # used only to cancel it
        self._since = time.monotonic()
        try:
            if self._interrupted is not None:
                future.cancel()
            return future.result()
        except CancelledError:
            self.check()
            raise Ended("cancelled", "what it waited for was cancelled") from None
        finally:
            self._waits = None
            self._waited, self._since = self.waited(), 0.0

    def host(self, function: Callable[..., int], caller: int, values: list[int]) -> int:
        """Runs a host function for the guest. Stores what it raises, which replaces the trap that follows."""
        before, self._caller = self._caller, caller
        try:
            self.charge(HOST_CALL)
            return function(self, *values)
        except BaseException as error:
            self._end = error
            raise
        finally:
            self._caller = before

    def charge(self, units: int) -> None:
        """Takes fuel for the next piece of a host function's work. Raises Ended if interrupted, or if there is not enough."""
        self.check()
        left = self._fuel_left() - units
        self._library.wasmtime_context_set_fuel(self._context, max(0, left))
        if left < 0:
            raise Ended("fuel", "its fuel is used up")

    def read(self, at: int, size: int) -> bytes:
        """Reads bytes of its memory. Raises Ended for an address outside."""
        return ctypes.string_at(self._address(at, size), size)

    def write(self, at: int, raw: bytes) -> None:
        """Writes bytes to its memory. Raises Ended for an address outside."""
        ctypes.memmove(self._address(at, len(raw)), raw, len(raw))

    def place(self, raw: bytes) -> int:
        """Writes bytes where its own allocator finds room. Returns their address."""
        if not raw:
            return 0
        values = (Value * 1)()
        values[0].i32 = len(raw)
        self._enter(_ALLOCATE, values)
        at = values[0].u32
        if at == 0:
            raise Ended("memory", f"its {_ALLOCATE} found no room for {len(raw)} bytes")
        self.charge(len(raw))
        self.write(at, raw)
        return at

    def _call(self, export: str, inputs: tuple[bytes, ...]) -> bytes:
        trap = ctypes.c_void_p()
        error = self._library.wasmtime_instance_pre_instantiate(
            self.program.linked, self._context, ctypes.byref(self._instance), ctypes.byref(trap)
        )
        self._raise(error, trap)
        if "_initialize" in self._module.functions:
            self._enter("_initialize", (Value * 1)())
        values = (Value * max(1, 2 * len(inputs)))()
        for number, raw in enumerate(inputs):
            values[2 * number].i32, values[2 * number + 1].i32 = self.place(raw), len(raw)
        self._enter(export, values)
        if not self._module.functions[export].results:
            return b""
        answer = values[0].i64 & 0xFFFF_FFFF_FFFF_FFFF
        at, size = answer >> 32, answer & 0xFFFF_FFFF
        self._address(at, size)
        if size > BODY_MAX:
            raise Ended("malformed", f"it answered with {size} bytes; {BODY_MAX} are the most")
        return self.read(at, size)

    def _enter(self, export: str, values: "ctypes.Array[Value]") -> None:
        found, trap, name = Extern(), ctypes.c_void_p(), export.encode()
        there = self._library.wasmtime_instance_export_get(
            self._context, ctypes.byref(self._instance), name, len(name), ctypes.byref(found)
        )
        if not there or found.kind != EXTERN_FUNC:
            raise Ended("malformed", f"the module exports no function {export}")
        error = self._library.wasmtime_func_call_unchecked(
            self._context, ctypes.byref(found.of.func), values, len(values), ctypes.byref(trap)
        )
        self._raise(error, trap)

    def _raise(self, error: int, trap: ctypes.c_void_p) -> None:
        """Raises the reason if the guest was ended."""
        if not error and trap.value is None:
            return
        ended, self._end = self._end or self._interrupted, None
        if error and ended is None:
            raise of_error(message_of(error))
        if error:
            self._library.wasmtime_error_delete(error)
        else:
            trapped = self._end_of_trap(trap)
            ended = ended or trapped
        assert ended is not None
        raise ended

    def _end_of_trap(self, trap: ctypes.c_void_p) -> Ended:
        """The end for a trap, from its code and its frames.

        Its message is not used, nor that of an error in such frames: it would hold each function name demangled, which has no
        bound of size or time: a few bytes can stand for gigabytes.
        """
        library, code, frames = self._library, ctypes.c_uint8(), Vector()
        library.wasmtime_trap_code(trap, ctypes.byref(code))
        library.wasm_trap_trace(trap, ctypes.byref(frames))
        names = (library.wasmtime_frame_func_name(frame) for frame in items(frames))
        known = [text_of(name, LONGEST_WHERE) for name in islice(filter(None, names), MOST_NAMES)]
        library.wasm_frame_vec_delete(ctypes.byref(frames))
        library.wasm_trap_delete(trap)
        self._measure()
        return of_trap(code.value, known, memory=self._peak, most=self.terms.memory)

    def _fuel_left(self) -> int:
        left = ctypes.c_uint64()
        self._library.wasmtime_context_get_fuel(self._context, ctypes.byref(left))
        return left.value

    def _memory(self) -> Memory | None:
        """Its memory; in a start function, which runs before there is an instance, it comes from the caller."""
        found, there = Extern(), False
        if self._caller:
            there = bool(self._library.wasmtime_caller_export_get(self._caller, _NAME, len(_NAME), ctypes.byref(found)))
        elif self._instance.store:
            there = bool(
                self._library.wasmtime_instance_export_get(
                    self._context, ctypes.byref(self._instance), _NAME, len(_NAME), ctypes.byref(found)
                )
            )
        return found.of.memory if there and found.kind == EXTERN_MEMORY else None

    def _measure(self) -> None:
        """Sets the peak: a memory never shrinks, so its size at the end is its peak."""
        memory = self._memory()
        if memory is not None:
            self._peak = self._library.wasmtime_memory_data_size(self._context, ctypes.byref(memory))

    def _address(self, at: int, size: int) -> int:
        memory = self._memory()
        if memory is None:
            raise Ended("malformed", "the module exports no memory called `memory`, which the host needs")
        most = self._library.wasmtime_memory_data_size(self._context, ctypes.byref(memory))
        if at + size > most:
            raise Ended("trap", f"it named {size} bytes at {at}, outside of its memory of {most} bytes")
        return self._library.wasmtime_memory_data(self._context, ctypes.byref(memory)) + at


_running: Final = threading.local()
"""The guest that this thread runs, as `guest`."""


def running() -> Guest:
    """The guest that this thread runs."""
    guest = _running.guest
    assert isinstance(guest, Guest)
    return guest


def _on_epoch(_: int, __: int, more: "ctypes._Pointer[ctypes.c_uint64]", ___: "ctypes._Pointer[ctypes.c_uint8]") -> int:
    """Takes a tick: goes on to the next one, unless this guest was interrupted."""
    more[0] = 1
    return 0 if running()._interrupted is None else load().wasmtime_error_new(b"interrupted")


@lru_cache(maxsize=1)
def at_epoch() -> "ctypes._FuncPointer":
    """The callback for each tick of the epoch. Made on first use, see program.protect_callbacks."""
    return AtEpoch(_on_epoch)
