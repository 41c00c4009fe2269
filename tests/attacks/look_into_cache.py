"""See what others have read of a file: ask for a piece only if it is in the system's cache (RWF_NOWAIT)."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    file = os.open(os.__file__, os.O_RDONLY)
    try:
        return os.preadv(file, [bytearray(1)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        return 0
""",
    stopped_by=("seccomp",),
    refused="OSError 95",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found in (0, 1),
    source="CVE-2019-5489: the same by mincore",
)
