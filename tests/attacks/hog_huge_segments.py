"""Take a machine's huge pages by a System V segment of them (SHM_HUGETLB), which would outlive its maker: here two."""

from tests.attacks.attack import Attack
from tests.attacks.huge import lacking

ATTACK = Attack(
    code="""
import ctypes

SIZE, HUGE = 2 << 20, 0o4000

def attack(hand, given):
    segment = syscall("shmget", 0, 2 * SIZE, 0o1600 | HUGE)
    start = syscall("shmat", segment, 0, 0)
    syscall("shmctl", segment, 0, 0)
    return sum(ctypes.c_ubyte.from_address(start + number * SIZE).value == 0 for number in range(2))
""",
    stopped_by=("seccomp", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == 2,
    needs=lacking,
)
