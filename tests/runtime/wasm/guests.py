"""Guests for tests: modules from WAT, loaded as a run loads them, and called on a guest's thread."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from runtime.kernel_handle import KernelHandle
from runtime.wasm.ends import Ended, Exited
from runtime.wasm.engine import Engine, Module, binary_of
from runtime.wasm.guest import Guest, Terms
from runtime.wasm.program import Program, load_program
from wire.amounts import Used

ALLOCATE = """
(global $free (mut i32) (i32.const 1024))
(func $alloc (export "maniple_alloc") (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (global.get $free))
  (global.set $free (i32.add (local.get $at) (local.get $size)))
  (local.get $at))
"""
"""An allocator that never frees, as an instance lives for one call."""

ECHO = """
(func (export "run") (param $at i32) (param $size i32) (result i64)
  (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $size))))
"""

ENGINE = Engine()
MEBI = 1024 * 1024


class Answer(NamedTuple):
    """What a call came to: bytes, or how it ended; and what it used."""

    what: bytes | Ended | Exited
    used: Used

    @property
    def code(self) -> str:
        """Of its end, "" when it answered."""
        return self.what.code if isinstance(self.what, Ended) else ""


def wat(body: str, *, imports: str = "", pages: str = "1") -> bytes:
    """A module with a memory and an allocator."""
    return f'(module {imports} (memory (export "memory") {pages}) {ALLOCATE} {body})'.encode()


def running(body: str, *, imports: str = "", pages: str = "1") -> bytes:
    """A module whose `run` is this."""
    whole = f'(func $run (export "run") (param $at i32) (param $size i32) (result i64) {body})'
    return wat(whole, imports=imports, pages=pages)


def artefact(text: bytes) -> bytes:
    """What `maniple install` would make of a module."""
    return Module.from_binary(ENGINE, binary_of(text)).artefact()


def program(text: bytes) -> Program:
    """A module, loaded; no call of it may need the kernel."""
    made = load_program(artefact(text))
    made.begin(asyncio.new_event_loop(), _no_kernel(), 1)
    made.loop.close()
    return made


def _no_kernel() -> KernelHandle:
    return KernelHandle.__new__(KernelHandle)


def silent(_: str, __: str) -> None:
    """Nobody listens."""


def terms(
    *,
    fuel: int = 1_000_000_000,
    memory: int = 16 * MEBI,
    seed: bytes = b"7",
    arguments: tuple[bytes, ...] = (),
    environment: tuple[bytes, ...] = (),
    say: Callable[[str, str], None] = silent,
    keep: Callable[[bytes], None] = lambda _: None,
) -> Terms:
    return Terms(
        fuel=fuel,
        memory=memory,
        time=1_700_000_000_123_456,
        seed=seed,
        arguments=arguments,
        environment=environment,
        say=say,
        keep=keep,
    )


def called(of: Program, export: str, *inputs: bytes, under: Terms | None = None, guest: Guest | None = None) -> Answer:
    """Call it, wait, and tell what it came to."""
    guest = guest or Guest(of, under or terms())
    try:
        what: bytes | Ended | Exited = of.threads.submit(guest.call, export, *inputs).result(60)
    except (Ended, Exited) as end:
        what = end
    return Answer(what, guest.used())


def run(text: bytes, *inputs: bytes, under: Terms | None = None) -> Answer:
    """Load a module, and call its `run`."""
    return called(program(text), "run", *(inputs or (b"\x80",)), under=under)
