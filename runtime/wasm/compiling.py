"""The program that compiles a module (acts): standard input to standard output, in a process of its own.

`maniple install` starts it, since a module is hostile bytes until it is compiled, and takes nothing from it but its output:
the key under which the artefact is kept, in hex, a newline, and the artefact. What is wrong is said on standard error in one
line, with exit code 1. Its limits are laid on before the first byte is read.

    python -c STARTER SEARCH-PATH runtime.wasm.compiling NAME SECONDS KIND METHOD… <module >output
"""

import hashlib
import os
import resource
import sys
from typing import Final

from runtime.wasm import exports, offered
from runtime.wasm.ends import Unfit
from runtime.wasm.engine import SETTINGS, Engine, Module, binary_of

MEMORY: Final = 1024**3
"""Bytes that compiling may take."""

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a module: what takes longer to compile than anybody waits need not be read."""

_FILES: Final = 16


def main(arguments: list[str]) -> None:
    """Compile what comes; never returns."""
    name, seconds, kind, *methods = arguments
    for which, most in (
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_CPU, int(seconds)),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (most, most))
    os.environ.clear()
    try:
        raw = sys.stdin.buffer.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise Unfit(f"it is larger than {LARGEST >> 20} MiB")
        binary = binary_of(raw) if name.endswith(".wat") else raw
        module = Module.compiled(Engine(), binary)
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
    """SHA-256 over what an artefact is made from: the module's file, wasmtime's version, the settings."""
    return hashlib.sha256(f"{SETTINGS}\n{hashlib.sha256(raw).hexdigest()}\n".encode()).hexdigest()
