"""Write machine code into memory and execute it."""

import platform

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import mmap
import os

CODES = {"x86_64": "b82a000000c3", "aarch64": "40058052c0035fd6"}  # return 42

def attack(hand, given):
    everything = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    memory = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, everything)
    memory.write(bytes.fromhex(CODES[os.uname().machine]))
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == 42,
    needs=lambda: "" if platform.machine() in ("x86_64", "aarch64") else "its code is for x86-64 and aarch64",
)
