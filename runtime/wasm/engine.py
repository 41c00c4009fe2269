"""One engine, and modules in it (acts through library.py): settings under which a guest does the same thing each time.

The same settings compile and load: wasmtime refuses an artefact that was made under others. SETTINGS names them for the
digest under which an artefact is kept; whoever changes one changes its text.
"""

import ctypes
from typing import Final, NamedTuple

from runtime.wasm.ends import Unfit
from runtime.wasm.library import EXTERN_FUNC, EXTERN_MEMORY, VERSION, Bytes, borrowed, items, load, message_of, taken

STACK: Final = 512 * 1024
"""Bytes of stack that a guest may use; the thread that runs it has THREAD_STACK, since host functions need some as well."""

THREAD_STACK: Final = 2 * 1024 * 1024

_SPEED: Final = 1  # wasmtime_opt_level_t

_SWITCHES: Final = (
    ("consume_fuel", True),
    ("epoch_interruption", True),
    ("cranelift_nan_canonicalization", True),
    ("parallel_compilation", False),
    ("memory_init_cow", False),  # would want memfd_create, which no run has
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
"""What could make two machines differ, or escape the limits, is off: threads, relaxed SIMD, garbage-collected heaps."""

SETTINGS: Final = f"wasmtime {VERSION}; stack {STACK}; speed; " + ", ".join(
    f"{name} {'on' if on else 'off'}" for name, on in _SWITCHES
)


class Signature(NamedTuple):
    """A function's parameters and results as letters: i and I for integers of 32 and 64 bits, f and F for floats, ? else."""

    parameters: str
    results: str


class Import(NamedTuple):
    """What a module wants from outside. signature: None for what is no function."""

    module: str
    name: str
    signature: Signature | None


class Engine:
    """wasmtime's engine. One for each process; it lives as long as the process."""

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
        """Let every guest that computes look whether it has been interrupted."""
        load().wasmtime_engine_increment_epoch(self.pointer)


class Module:
    """A compiled module. imports, and what it exports: functions by name, and the names of memories."""

    def __init__(self, engine: Engine, pointer: int) -> None:
        self.engine, self.pointer = engine, pointer
        self.imports = _imports(pointer)
        self.functions, self.memories = _exports(pointer)

    @classmethod
    def compiled(cls, engine: Engine, binary: bytes) -> "Module":
        """Compile a binary module. Raises Unfit with what is wrong with it."""
        found = ctypes.c_void_p()
        error = load().wasmtime_module_new(engine.pointer, binary, len(binary), ctypes.byref(found))
        return cls(engine, _made(error, found))

    @classmethod
    def loaded(cls, engine: Engine, artefact: bytes) -> "Module":
        """Load an artefact, which is native code: the caller has checked its digest. Raises Unfit for another version's."""
        found = ctypes.c_void_p()
        error = load().wasmtime_module_deserialize(engine.pointer, artefact, len(artefact), ctypes.byref(found))
        return cls(engine, _made(error, found))

    def artefact(self) -> bytes:
        """The module compiled, as bytes that `loaded` takes."""
        made = Bytes()
        error = load().wasmtime_module_serialize(self.pointer, ctypes.byref(made))
        if error:
            raise Unfit(message_of(error))
        return taken(made)


def binary_of(text: bytes) -> bytes:
    """The binary module that a text in WAT stands for. Raises Unfit with line and column of what is wrong."""
    made = Bytes()
    error = load().wasmtime_wat2wasm(text, len(text), ctypes.byref(made))
    if error:
        raise Unfit(message_of(error).strip())
    return taken(made)


def _made(error: int, found: ctypes.c_void_p) -> int:
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
            borrowed(library.wasm_importtype_module(one)),
            borrowed(library.wasm_importtype_name(one)),
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
        name = borrowed(library.wasm_exporttype_name(one))
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
    kinds = (load().wasm_valtype_kind(one) for one in items(Bytes.from_address(vector)))
    return "".join("iIfF"[kind] if kind < 4 else "?" for kind in kinds)
