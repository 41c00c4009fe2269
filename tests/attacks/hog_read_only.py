"""Take all memory and close it to writing piece by piece, after which it no longer counts as data: 300 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import os
import time

PIECE = 20 << 20

def attack(hand, given):
    libc.mmap.restype = ctypes.c_void_p
    for _ in range(15):
        start = ctypes.c_void_p(libc.mmap(None, ctypes.c_size_t(PIECE), 3, 0x22, -1, ctypes.c_long(0)))
        ctypes.memset(start, 1, PIECE)
        syscall("mprotect", start, PIECE, 1)  # PROT_READ
    for _ in range(25 if os.getuid() < 700_000_000 else 0):  # time for whoever looks only now and then
        time.sleep(0.1)
    return 15 * PIECE
""",
    stopped_by=("cgroup",),
    refused="ended",
    stopped_for_user=("watch",),
    got=lambda found, given: found == 300 << 20,
    limits={"cpu": "10s"},
)
