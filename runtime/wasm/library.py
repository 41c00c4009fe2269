"""The used part of wasmtime's C interface (acts: loads a shared library).

The package `wasmtime` has the library and Python classes over it. Only the library is used: those classes take 35 ms and 4 MB
to import, in every run, and they store the exception of a host function in one variable of the module, so that two guests in
two threads may get each other's. The declarations follow wasm.h and wasmtime/*.h of the version below; requirements/base.txt
pins that version by its hashes, and a test compares the two.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Final

from runtime.wasm.ends import Unfit

VERSION: Final = "50.0.1"
"""The version of wasmtime that the declarations and the serialised modules are of."""

I32, I64, F32, F64 = range(4)
"""wasm_valkind_t. Other types come from a module as larger numbers."""

EXTERN_FUNC: Final = 0
EXTERN_MEMORY: Final = 3
"""wasmtime_extern_kind_t; the kinds of wasm_externkind_t are the same for functions and memories."""


class Bytes(ctypes.Structure):
    """wasm_byte_vec_t, and every other vector of wasm.h: size and address of its items."""

    _fields_ = (("size", ctypes.c_size_t), ("at", ctypes.c_void_p))
    size: int
    at: int | None


class Func(ctypes.Structure):
    """wasmtime_func_t, and wasmtime_instance_t, which has the same shape: valid in its own store only."""

    _fields_ = (("store", ctypes.c_uint64), ("private", ctypes.c_void_p))


class Memory(ctypes.Structure):
    """wasmtime_memory_t."""

    _fields_ = (("store", ctypes.c_uint64), ("private", ctypes.c_uint32 * 4))


class _Union(ctypes.Union):
    _fields_ = (("func", Func), ("memory", Memory))
    func: Func
    memory: Memory


class Extern(ctypes.Structure):
    """wasmtime_extern_t: an export of an instance."""

    _fields_ = (("kind", ctypes.c_uint8), ("of", _Union))
    kind: int
    of: _Union


class Value(ctypes.Union):
    """wasmtime_val_raw_t: a parameter or a result, 16 bytes."""

    _fields_ = (
        ("i32", ctypes.c_int32),
        ("i64", ctypes.c_int64),
        ("u32", ctypes.c_uint32),
        ("v128", ctypes.c_uint8 * 16),
    )
    i32: int
    i64: int
    u32: int


HostFunction: Final = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(Value), ctypes.c_size_t
)
"""wasmtime_func_unchecked_callback_t: (env, caller, values, their count) → a trap, or 0."""

AtEpoch: Final = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint64), ctypes.POINTER(ctypes.c_uint8)
)
"""wasmtime's callback at an epoch's end: (context, env, further epochs, kind of update) → an error, or 0."""

_LETTERS: Final = {
    "v": None, "p": ctypes.c_void_p, "b": ctypes.c_bool, "B": ctypes.c_uint8, "q": ctypes.c_int64, "Q": ctypes.c_uint64,
    "n": ctypes.c_size_t, "s": ctypes.c_char_p, "H": HostFunction, "E": AtEpoch,
}  # fmt: skip
"""The types for the letters of a declaration: none, any pointer, numbers, a text, our two callbacks."""

_DECLARED: Final = {
    "wasm_config_new": "p",
    "wasm_engine_new_with_config": "pp",
    "wasm_byte_vec_delete": "vp",
    "wasm_valtype_new": "pB",
    "wasm_valtype_kind": "Bp",
    "wasm_valtype_vec_new": "vpnp",
    "wasm_functype_new": "ppp",
    "wasm_functype_delete": "vp",
    "wasm_functype_params": "pp",
    "wasm_functype_results": "pp",
    "wasm_externtype_kind": "Bp",
    "wasm_externtype_as_functype_const": "pp",
    "wasm_importtype_module": "pp",
    "wasm_importtype_name": "pp",
    "wasm_importtype_type": "pp",
    "wasm_importtype_vec_delete": "vp",
    "wasm_exporttype_name": "pp",
    "wasm_exporttype_type": "pp",
    "wasm_exporttype_vec_delete": "vp",
    "wasm_frame_vec_delete": "vp",
    "wasm_trap_delete": "vp",
    "wasm_trap_trace": "vpp",
    "wasmtime_caller_export_get": "bpsnp",
    "wasmtime_config_consume_fuel_set": "vpb",
    "wasmtime_config_cranelift_nan_canonicalization_set": "vpb",
    "wasmtime_config_cranelift_opt_level_set": "vpB",
    "wasmtime_config_epoch_interruption_set": "vpb",
    "wasmtime_config_gc_support_set": "vpb",
    "wasmtime_config_max_wasm_stack_set": "vpn",
    "wasmtime_config_memory_init_cow_set": "vpb",
    "wasmtime_config_parallel_compilation_set": "vpb",
    "wasmtime_config_shared_memory_set": "vpb",
    "wasmtime_config_wasm_component_model_set": "vpb",
    "wasmtime_config_wasm_custom_page_sizes_set": "vpb",
    "wasmtime_config_wasm_exceptions_set": "vpb",
    "wasmtime_config_wasm_function_references_set": "vpb",
    "wasmtime_config_wasm_gc_set": "vpb",
    "wasmtime_config_wasm_memory64_set": "vpb",
    "wasmtime_config_wasm_multi_memory_set": "vpb",
    "wasmtime_config_wasm_relaxed_simd_set": "vpb",
    "wasmtime_config_wasm_stack_switching_set": "vpb",
    "wasmtime_config_wasm_threads_set": "vpb",
    "wasmtime_config_wasm_wide_arithmetic_set": "vpb",
    "wasmtime_context_get_fuel": "ppp",
    "wasmtime_context_set_epoch_deadline": "vpQ",
    "wasmtime_context_set_fuel": "ppQ",
    "wasmtime_engine_increment_epoch": "vp",
    "wasmtime_error_delete": "vp",
    "wasmtime_error_message": "vpp",
    "wasmtime_error_new": "ps",
    "wasmtime_frame_func_name": "pp",
    "wasmtime_func_call_unchecked": "ppppnp",
    "wasmtime_instance_export_get": "bppsnp",
    "wasmtime_instance_pre_instantiate": "ppppp",
    "wasmtime_linker_define_func_unchecked": "ppsnsnpHpp",
    "wasmtime_linker_delete": "vp",
    "wasmtime_linker_instantiate_pre": "pppp",
    "wasmtime_linker_new": "pp",
    "wasmtime_memory_data": "ppp",
    "wasmtime_memory_data_size": "npp",
    "wasmtime_module_deserialize": "ppsnp",
    "wasmtime_module_exports": "vpp",
    "wasmtime_module_imports": "vpp",
    "wasmtime_module_new": "ppsnp",
    "wasmtime_module_serialize": "ppp",
    "wasmtime_store_context": "pp",
    "wasmtime_store_delete": "vp",
    "wasmtime_store_epoch_deadline_callback": "vpEpp",
    "wasmtime_store_limiter": "vpqqqqq",
    "wasmtime_store_new": "pppp",
    "wasmtime_trap_code": "bpp",
    "wasmtime_trap_new": "psn",
    "wasmtime_wasm_valtype_equal": "bpp",
    "wasmtime_wasm_valtype_v128": "p",
    "wasmtime_wat2wasm": "psnp",
}
"""The functions: for each the letter of its result, then those of its parameters."""


class Library:
    """The functions declared above, as attributes."""

    def __init__(self, path: str) -> None:
        loaded = ctypes.CDLL(path)
        for name, letters in _DECLARED.items():
            function = getattr(loaded, name)
            function.restype = _LETTERS[letters[0]]
            function.argtypes = [_LETTERS[letter] for letter in letters[1:]]
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Callable[..., int]:
        raise AttributeError(f"{name} is not declared")


@lru_cache(maxsize=1)
def load() -> Library:
    """The library. Raises Unfit if there is none for this machine."""
    found = find_spec("wasmtime")
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(os.uname().machine, os.uname().machine)
    name = "_libwasmtime.dylib" if sys.platform == "darwin" else "_libwasmtime.so"
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = os.path.join(folder, f"{sys.platform}-{machine}", name)
        if os.path.exists(path):
            return Library(path)
    raise Unfit(f"the package wasmtime has no library for {sys.platform} on {machine}, so no WebAssembly runs here")


def take_bytes(vector: Bytes) -> bytes:
    """The bytes of a vector; frees it."""
    text = ctypes.string_at(vector.at, vector.size) if vector.at else b""
    load().wasm_byte_vec_delete(ctypes.byref(vector))
    return text


def text_of(vector: int, most: int | None = None) -> str:
    """The text of a vector, which is not freed. most: bytes of it, None for all."""
    name = Bytes.from_address(vector)
    return (
        ctypes.string_at(name.at, name.size if most is None else min(name.size, most)).decode("utf-8", "replace")
        if name.at
        else ""
    )


def message_of(error: int) -> str:
    """The message of an error; frees it."""
    message = Bytes()
    load().wasmtime_error_message(error, ctypes.byref(message))
    load().wasmtime_error_delete(error)
    return take_bytes(message).decode("utf-8", "replace")


def items(vector: Bytes) -> list[int]:
    """The pointers of a vector of pointers."""
    return list((ctypes.c_size_t * vector.size).from_address(vector.at)) if vector.at else []
