"""The program that compiles a module (acts): standard input to standard output, in a process of its own.

`maniple install` starts it, since a module is hostile bytes until it is compiled, and takes only its output: the artefact's
key in hex, a newline, and the artefact. An error is one line on standard error, with exit code 1. The process is confined
between `prepare` and the first byte that is read, by kernel/process/compiler.py, whose arguments end in this program's: NAME
KIND METHOD…
"""

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from runtime.wasm import exports, offered, sections
from runtime.wasm.ends import Unfit
from runtime.wasm.engine import SETTINGS, Engine, Module, binary_of
from runtime.wasm.library import load

LARGEST: Final = 16 * 1024 * 1024
"""Most bytes of a module: a larger one would take longer to compile than anybody waits."""


def prepare(arguments: Sequence[str]) -> Callable[[], None]:
    """Loads everything, since no file can be opened later. Returns the function that compiles, and never returns."""
    name, kind, *methods = arguments
    load()
    return partial(_compile, name, kind, methods)


def _compile(name: str, kind: str, methods: Sequence[str]) -> None:
    try:
        raw = sys.stdin.buffer.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise Unfit(f"it is larger than {LARGEST >> 20} MiB")
        binary = binary_of(raw) if name.endswith(".wat") else raw
        sections.check(binary)
        module = Module.from_binary(Engine(), binary)
        offered.check(module.imports)
        exports.check(module, kind, methods)
        sys.stdout.buffer.write(key_of(raw).encode() + b"\n" + module.artefact())
        sys.stdout.buffer.flush()
    except Unfit as unfit:
        sys.stderr.write(" ".join(str(unfit).split())[:1_000])
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def key_of(raw: bytes) -> str:
    """The SHA-256 of the inputs of an artefact: the module's file, wasmtime's version, the settings."""
    return hashlib.sha256(f"{SETTINGS}\n{hashlib.sha256(raw).hexdigest()}\n".encode()).hexdigest()
