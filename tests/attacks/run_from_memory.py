"""Run a program that no folder holds: memfd_create, then fexecve. Landlock takes such a file for the system's own."""

import platform

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import struct

CODES = {  # exit(42)
    "x86_64": (62, "b83c000000bf2a0000000f05"),
    "aarch64": (183, "400580d2a80b80d2010000d4"),
}

def attack(hand, given):
    machine, code = CODES[os.uname().machine]
    size = 64 + 56 + len(code) // 2
    header = b"\\x7fELF\\2\\1\\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000)
    memory = os.memfd_create("program")
    os.write(memory, header + segment + bytes.fromhex(code))
    child = os.fork()
    if child == 0:
        try:
            os.execve(memory, ["program"], {})
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
""",
    stopped_by=("seccomp",),
    refused="OSError 38",
    got=lambda found, given: found == 42,
    needs=lambda: "" if platform.machine() in ("x86_64", "aarch64") else "its program is for x86-64 and aarch64",
)
