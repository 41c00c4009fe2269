"""Make a ctypes callback, whose memory is writable and executable, and replace its code."""

import platform

from tests import libffi
from tests.attacks.attack import Attack


def _needs() -> str:
    if platform.machine() not in ("x86_64", "aarch64"):
        return "its code is for x86-64 and aarch64"
    return "" if libffi.makes_code() else "this machine's libffi makes no code for callbacks"


ATTACK = Attack(
    code="""
import ctypes
import os

CODES = {"x86_64": "b82a000000c3", "aarch64": "40058052c0035fd6"}  # return 42

def attack(hand, given):
    kind = ctypes.CFUNCTYPE(ctypes.c_int)
    callback = kind(lambda: 1)
    address = ctypes.cast(callback, ctypes.c_void_p).value
    code = bytes.fromhex(CODES[os.uname().machine])
    ctypes.memmove(address, code, len(code))
    return kind(address)()
""",
    stopped_by=("seccomp",),
    refused="MemoryError" if libffi.makes_code() else "ended",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == 42,
    needs=_needs,
)
