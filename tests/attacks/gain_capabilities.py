"""Gain a capability of root's."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import struct

def attack(hand, given):
    header = struct.pack("=Ii", 0x2008_0522, 0)
    system = 1 << 21
    syscall("capset", header, struct.pack("=6I", system, system, 0, 0, 0, 0))
    held = ctypes.create_string_buffer(24)
    syscall("capget", header, held)
    return struct.unpack("=6I", held.raw)[0]
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == 1 << 21,
    source="LTP, capset",
)
