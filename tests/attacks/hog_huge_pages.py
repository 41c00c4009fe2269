"""Take the huge pages that a machine keeps for a database: no control group counts them, and no limit those only read."""

from tests.attacks.attack import Attack
from tests.attacks.huge import MANY, lacking

ATTACK = Attack(
    code="""
import mmap

SIZE, HUGE = 2 << 20, 0x4_0000

def attack(hand, given):
    many = int(given["many"])
    memory = mmap.mmap(-1, many * SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | HUGE, mmap.PROT_READ)
    return sum(memory[number * SIZE] == 0 for number in range(many))
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == MANY,
    extra=lambda given: {"many": str(MANY)},
    needs=lacking,
)
