"""Take a lock that passes priorities on (FUTEX_LOCK_PI): little-used code of the system's, which no run needs."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes

def attack(hand, given):
    return syscall("futex", ctypes.byref(ctypes.c_int()), 6, 0, 0, 0, 0)
""",
    stopped_by=("seccomp",),
    refused="OSError 38",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == 0,
    source="CVE-2014-3153, Towelroot, and CVE-2021-3347",
)
