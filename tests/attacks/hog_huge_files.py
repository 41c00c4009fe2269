"""Take a machine's huge pages by a file of them (hugetlbfs), in a folder where everybody may make one, as in /dev/shm."""

from tests.attacks.attack import Attack
from tests.attacks.huge import MANY, folder, lacking

ATTACK = Attack(
    code="""
import ctypes
import os

SIZE = 2 << 20

def attack(hand, given):
    mmap, read = libc.mmap, ctypes.c_ubyte.from_address
    mmap.restype, mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    path, many = f"{given['folder']}/maniple-attack-{hand.run_id}", int(given["many"])
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        start = mmap(None, many * SIZE, 3, 1, file, 0)  # PROT_READ and PROT_WRITE, MAP_SHARED: the file grows by this
        return sum(read(start + number * SIZE).value == 0 for number in range(many))
    finally:
        os.unlink(path)
""",
    stopped_by=("landlock", "mount-namespace"),
    refused="OSError 30",
    stopped_for_user=("landlock", "mount-namespace"),
    got=lambda found, given: found == MANY,
    extra=lambda given: {"many": str(MANY), "folder": folder() or "/dev/shm"},
    needs=lambda: lacking() or ("" if folder() else "no file system of huge pages is mounted"),
)
