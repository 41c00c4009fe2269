"""The engine and its modules (acts through library.py), with settings under which a guest does the same thing each time.

Compiling and loading use the same settings: wasmtime refuses an artefact that was made under others. SETTINGS names them for
the digest under which an artefact is stored; whoever changes a setting changes that text.
"""

import ctypes
from functools import lru_cache
from typing import Final, NamedTuple

from runtime.wasm.ends import Unfit
from runtime.wasm.library import (
    EXTERN_FUNC,
    EXTERN_MEMORY,
    VERSION,
    Bytes,
    items,
    load,
    message_of,
    take_bytes,
    text_of,
)

STACK: Final = 512 * 1024
"""Bytes of stack for a guest; its thread has THREAD_STACK, since host functions need some as well."""

THREAD_STACK: Final = 2 * 1024 * 1024

_SPEED: Final = 1  # wasmtime_opt_level_t

_SWITCHES: Final = (
    ("consume_fuel", True),
    ("epoch_interruption", True),
    ("cranelift_nan_canonicalization", True),
    ("parallel_compilation", False),
    ("memory_init_cow", False),  # needs memfd_create, which no run may call
    ("shared_memory", False),
    ("gc_support", False),
    ("wasm_threads", False),
    ("wasm_relaxed_simd", False),
    ("wasm_gc", False),
    ("wasm_function_references", False),
    ("wasm_exceptions", False),
    ("wasm_memory64", False),
    ("wasm_multi_memory", False),
    ("wasm_custom_page_sizes", False),
    ("wasm_stack_switching", False),
    ("wasm_wide_arithmetic", False),
    ("wasm_component_model", False),
)
"""Off is what could differ between machines or escape the limits: threads, relaxed SIMD, garbage-collected heaps."""

SETTINGS: Final = f"wasmtime {VERSION}; stack {STACK}; speed; " + ", ".join(
    f"{name} {'on' if on else 'off'}" for name, on in _SWITCHES
)


class Signature(NamedTuple):
    """A function's parameters and results as letters: i, I for 32- and 64-bit integers, f, F for floats, ? for others."""

    parameters: str
    results: str


class Import(NamedTuple):
    """An import of a module. signature: None if it is not a function."""

    module: str
    name: str
    signature: Signature | None


class Engine:
    """wasmtime's engine, one per process, for as long as the process lives."""

    def __init__(self) -> None:
        library = load()
        config = library.wasm_config_new()
        for name, on in _SWITCHES:
            getattr(library, f"wasmtime_config_{name}_set")(config, on)
        library.wasmtime_config_cranelift_opt_level_set(config, _SPEED)
        library.wasmtime_config_max_wasm_stack_set(config, STACK)
        self.pointer = library.wasm_engine_new_with_config(config)
        if not self.pointer:
            raise Unfit("wasmtime cannot run on this machine with the settings that Maniple needs")

    def tick(self) -> None:
        """Makes every computing guest check for an interrupt."""
        load().wasmtime_engine_increment_epoch(self.pointer)


class Module:
    """A compiled module: its imports, and its exported functions, by name, and memories."""

    def __init__(self, engine: Engine, pointer: int) -> None:
        self.engine, self.pointer = engine, pointer
        self.imports = _imports(pointer)
        self.functions, self.memories = _exports(pointer)

    @classmethod
    def from_binary(cls, engine: Engine, binary: bytes) -> "Module":
        """Compiles a binary module. Raises Unfit with the reason if it is invalid."""
        found = ctypes.c_void_p()
        error = load().wasmtime_module_new(engine.pointer, binary, len(binary), ctypes.byref(found))
        return cls(engine, _pointer(error, found))

    @classmethod
    def from_artefact(cls, engine: Engine, artefact: bytes) -> "Module":
        """Loads an artefact, which is native code: the caller has checked its digest. Raises Unfit for another version's."""
        found = ctypes.c_void_p()
        error = load().wasmtime_module_deserialize(engine.pointer, artefact, len(artefact), ctypes.byref(found))
        return cls(engine, _pointer(error, found))

    def artefact(self) -> bytes:
        """The compiled module as bytes, for `from_artefact`."""
        made = Bytes()
        error = load().wasmtime_module_serialize(self.pointer, ctypes.byref(made))
        if error:
            raise Unfit(message_of(error))
        return take_bytes(made)


def binary_of(text: bytes) -> bytes:
    """Translates WAT text to a binary module. Raises Unfit with the line and column of an error."""
    made = Bytes()
    error = load().wasmtime_wat2wasm(text, len(text), ctypes.byref(made))
    if error:
        raise Unfit(message_of(error).strip())
    return take_bytes(made)


def _pointer(error: int, found: ctypes.c_void_p) -> int:
    if error:
        lines = message_of(error).strip().splitlines()
        raise Unfit(": ".join(line.strip() for line in lines if line.strip() and line.strip() != "Caused by:"))
    assert found.value is not None
    return found.value


def _imports(module: int) -> tuple[Import, ...]:
    library, vector = load(), Bytes()
    library.wasmtime_module_imports(module, ctypes.byref(vector))
    found = tuple(
        Import(
            text_of(library.wasm_importtype_module(one)),
            text_of(library.wasm_importtype_name(one)),
            _signature(library.wasm_importtype_type(one)),
        )
        for one in items(vector)
    )
    library.wasm_importtype_vec_delete(ctypes.byref(vector))
    return found


def _exports(module: int) -> tuple[dict[str, Signature], frozenset[str]]:
    library, vector = load(), Bytes()
    library.wasmtime_module_exports(module, ctypes.byref(vector))
    functions: dict[str, Signature] = {}
    memories = set()
    for one in items(vector):
        name = text_of(library.wasm_exporttype_name(one))
        kind = library.wasm_exporttype_type(one)
        signature = _signature(kind)
        if signature is not None:
            functions[name] = signature
        elif library.wasm_externtype_kind(kind) == EXTERN_MEMORY:
            memories.add(name)
    library.wasm_exporttype_vec_delete(ctypes.byref(vector))
    return functions, frozenset(memories)


def _signature(extern: int) -> Signature | None:
    library = load()
    if library.wasm_externtype_kind(extern) != EXTERN_FUNC:
        return None
    function = library.wasm_externtype_as_functype_const(extern)
    return Signature(
        _letters(library.wasm_functype_params(function)), _letters(library.wasm_functype_results(function))
    )


def _letters(vector: int) -> str:
    return "".join(map(_letter, items(Bytes.from_address(vector))))


def _letter(kind: int) -> str:
    library = load()
    if library.wasmtime_wasm_valtype_equal(kind, _vector_type()):
        return "?"  # wasmtime has no number for it, and would end the process
    number = library.wasm_valtype_kind(kind)
    return "iIfF"[number] if number < 4 else "?"


@lru_cache(maxsize=1)
def _vector_type() -> int:
    return load().wasmtime_wasm_valtype_v128()
