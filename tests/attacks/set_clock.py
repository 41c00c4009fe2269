"""Change the clock, by an impossible tick, which the system refuses."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import struct

def attack(hand, given):
    return past(22, "adjtimex", struct.pack("=I", 0x4000) + bytes(204))
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "past",
)
