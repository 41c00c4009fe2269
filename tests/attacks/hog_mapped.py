"""Take all memory by private mappings: 300 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import mmap

def attack(hand, given):
    memory = mmap.mmap(-1, 300 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, len(memory), mmap.PAGESIZE):
        memory[page] = 1
    return len(memory)
""",
    stopped_by=("rlimits", "cgroup"),
    refused="OSError 12",
    got=lambda found, given: found == 300 << 20,
)
