"""Make a ctypes callback, whose memory is writable and executable, and replace its code."""

import platform

from tests.attacks.attack import Attack

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
    refused="MemoryError",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == 42,
    needs=lambda: "" if platform.machine() in ("x86_64", "aarch64") else "its code is for x86-64 and aarch64",
)
