"""Fork into a user namespace of its own by clone3, whose flags no filter can see."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import os
import struct

def attack(hand, given):
    child = syscall("clone3", struct.pack("=8Q", 0x1000_0000, 0, 0, 0, 17, 0, 0, 0), 64)
    if child == 0:
        os._exit(42)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
""",
    stopped_by=("seccomp",),
    refused="OSError 38",
    got=lambda found, given: found == 42,
    source="Linux selftests, clone3",
)
