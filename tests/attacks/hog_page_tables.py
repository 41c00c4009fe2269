"""Take the system's memory by page tables, which count against no limit of a process: 300 MiB, to map zeroes sparsely."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import time

PIECE = 2 << 20  # what one table maps
MANY = 75_000

def attack(hand, given):
    mmap, read = libc.mmap, ctypes.c_ubyte.from_address
    mmap.restype, mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    start = mmap(None, MANY * PIECE, 1, 0x4022, -1, 0)  # PROT_READ; MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE
    for number in range(MANY):
        read(start + number * PIECE).value
    for _ in range(25):  # time for whoever looks only now and then
        time.sleep(0.1)
    return MANY
""",
    stopped_by=("cgroup",),
    refused="ended",
    stopped_for_user=("watch",),
    got=lambda found, given: found == 75_000,
    limits={"cpu": "10s"},
)
