"""Change how fast the clock goes (adjtimex). The attack sets it to what it is."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import struct

def attack(hand, given):
    told = ctypes.create_string_buffer(208)  # struct timex, which begins with what to change: nothing yet
    syscall("adjtimex", told)
    struct.pack_into("=I", told, 0, 0x4000)  # ADJ_TICK
    return syscall("adjtimex", told)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: isinstance(found, int),  # a state of the clock
)
