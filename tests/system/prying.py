"""A kernel whose WASM Hands are taken over (acts): each guest's thread, when the guest has answered, tries to make code.

Entry points of the kernel's and of the template's process, for test_wasm_confined.py; only tests can start it. It stands for
a fault in wasmtime that gives a guest its whole process. Nothing of the confinement is changed.
"""

import ctypes
import mmap
import os
from typing import Final

from kernel import launcher
from kernel import main as kernel_main
from kernel.process import template
from runtime.wasm.ends import Unfit
from runtime.wasm.guest import Guest
from runtime.wasm.program import load_program
from wire import codec

_libc: Final = ctypes.CDLL(None, use_errno=True)
_answer: Final = Guest.call
_CODE: Final = mmap.PROT_READ | mmap.PROT_EXEC


def main(arguments: list[str]) -> None:
    """Be either: a kernel when the first argument is a home, a template when it is a descriptor."""
    if arguments[0].isdigit():
        Guest.call = _pry  # type: ignore[assignment, method-assign]
        template.main(arguments)
        return
    launcher.TEMPLATE = "tests.system.prying"  # type: ignore[misc]
    kernel_main.main(arguments)


def _pry(guest: Guest, export: str, *inputs: bytes) -> bytes:
    tried = {"guest": codec.decode_body(_answer(guest, export, *inputs)), "protect": _protect(), "map": _map()}
    try:
        load_program(guest.program.module.artefact())
        tried["load"] = "loaded"
    except Unfit as unfit:
        tried["load"] = str(unfit)
    return codec.encode_body(tried)


def _protect() -> str:
    page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    page.write(b"\xc3")
    where = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    if _libc.mprotect(where, ctypes.c_size_t(mmap.PAGESIZE), _CODE) == 0:
        return "executable"
    return os.strerror(ctypes.get_errno())


def _map() -> str:
    try:
        mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, _CODE).close()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "executable"
