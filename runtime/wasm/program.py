"""A module that is ready for calls (acts): its imports are resolved once; each call then makes its own instance.

Made before the Hand's code may run, since loading native code needs executable memory, which nothing needs afterwards: all
host functions are one ctypes callback, which gets the number of the import.
"""

import asyncio
import ctypes
import mmap
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Final

from runtime.kernel_handle import KernelHandle
from runtime.wasm import offered
from runtime.wasm.bus import Bus
from runtime.wasm.ends import Unfit
from runtime.wasm.engine import THREAD_STACK, Engine, Module, Signature
from runtime.wasm.guest import at_epoch, running
from runtime.wasm.library import I32, I64, Bytes, HostFunction, Value, load, message_of

_KINDS: Final = {"i": I32, "I": I64}


class Program:
    """A linked module. threads: run its guests."""

    def __init__(self, module: Module) -> None:
        """Raises Unfit for a module with an import that is not offered."""
        offered.check(module.imports)
        self.module = module
        self.linked = _linked(module)

    def begin(self, loop: asyncio.AbstractEventLoop, kernel: KernelHandle, at_once: int) -> None:
        """Prepares it for calls from the run's loop, at most `at_once` at a time."""
        self.loop = loop
        bus = Bus(kernel)
        self.functions = tuple(offered.function(one, bus) for one in self.module.imports)
        threading.stack_size(THREAD_STACK)
        self.threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="guest")


def load_program(artefact: bytes) -> Program:
    """The program from an artefact whose digest was checked. Raises Unfit for one of another version."""
    return Program(Module.from_artefact(Engine(), artefact))


def protect_callbacks() -> None:
    """Makes the pages of callbacks read-only and executable, which ctypes allocates writable and executable.

    No callback is made before it is needed, as the template would pass such a page to every run. Called once, in a run;
    making or freeing a callback later is a fault (SIGSEGV), and a run ends without freeing anything. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for callback in (_host_function(), at_epoch()):
        address = ctypes.cast(callback, ctypes.c_void_p).value or 0
        page = ctypes.c_void_p(address // mmap.PAGESIZE * mmap.PAGESIZE)
        if libc.mprotect(page, ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), f"mprotect: {os.strerror(ctypes.get_errno())}")


def _linked(module: Module) -> int:
    library, found = load(), ctypes.c_void_p()
    linker = library.wasmtime_linker_new(module.engine.pointer)
    for one in set(module.imports):  # an import may be there twice
        number = module.imports.index(one)
        assert one.signature is not None, "checked before"
        kind = _function_type(one.signature)
        names = one.module.encode(), one.name.encode()
        error = library.wasmtime_linker_define_func_unchecked(
            linker, names[0], len(names[0]), names[1], len(names[1]), kind, _host_function(), number, None
        )
        library.wasm_functype_delete(kind)
        if error:
            raise Unfit(message_of(error).strip())
    error = library.wasmtime_linker_instantiate_pre(linker, module.pointer, ctypes.byref(found))
    library.wasmtime_linker_delete(linker)
    if error:
        raise Unfit(message_of(error).strip())
    assert found.value is not None
    return found.value


def _function_type(signature: Signature) -> int:
    library, vectors = load(), []
    for letters in signature:
        kinds = (ctypes.c_void_p * len(letters))(*(library.wasm_valtype_new(_KINDS[letter]) for letter in letters))
        vector = Bytes()
        library.wasm_valtype_vec_new(ctypes.byref(vector), len(letters), kinds)
        vectors.append(vector)
    return library.wasm_functype_new(ctypes.byref(vectors[0]), ctypes.byref(vectors[1]))


def _host(number: int | None, caller: int, values: "ctypes._Pointer[Value]", _: int) -> int:
    """Runs the host function of an import, by its number. Returns a trap if it raises; the guest stores the exception."""
    try:
        guest = running()
        one, function = guest.program.module.imports[number or 0], guest.program.functions[number or 0]
        assert one.signature is not None, "checked before"
        given = [
            values[at].u32 if letter == "i" else values[at].i64 & 0xFFFF_FFFF_FFFF_FFFF
            for at, letter in enumerate(one.signature.parameters)
        ]
        answer = guest.host(function, caller, given)
        if one.signature.results:
            values[0].i64 = answer
    except BaseException:  # noqa: BLE001 - the guest stores it, and raises it when it has left the module
        return load().wasmtime_trap_new(b"ended", 5)
    return 0


@lru_cache(maxsize=1)
def _host_function() -> "ctypes._FuncPointer":
    return HostFunction(_host)
