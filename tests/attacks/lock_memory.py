"""Keep the system's cache of files from being given up: lock pages of a library, which no limit of memory counts."""

import resource

from tests.attacks.attack import Attack

LOCKED = 2 << 20


def _needs() -> str:
    most = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    few = most != resource.RLIM_INFINITY and most < LOCKED
    return "this process may lock less itself, and so may its runs" if few else ""


ATTACK = Attack(
    code="""
import ctypes
import os

PIECE = 64 << 10

def attack(hand, given):
    mmap = libc.mmap
    mmap.restype, mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    file = os.open(os.__file__, os.O_RDONLY)  # any file: mapped again and again, so that it need not be a long one
    size = min(PIECE, os.fstat(file).st_size) // 4096 * 4096
    locked = 0
    while locked < 2 << 20:
        syscall("mlock", ctypes.c_void_p(mmap(None, size, 1, 1, file, 0)), size)  # PROT_READ, MAP_SHARED
        locked += size
    return locked
""",
    stopped_by=("rlimits",),
    refused="OSError 12",
    stopped_for_user=("rlimits",),
    got=lambda found, given: isinstance(found, int) and found >= LOCKED,
)
