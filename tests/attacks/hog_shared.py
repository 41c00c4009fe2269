"""Take all memory by shared anonymous mappings, which count against no limit of a process: 300 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import mmap

def attack(hand, given):
    memory = mmap.mmap(-1, 300 << 20)
    for page in range(0, len(memory), mmap.PAGESIZE):
        memory[page] = 1
    return len(memory)
""",
    stopped_by=("seccomp", "cgroup"),
    refused="PermissionError 1",
    got=lambda found, given: found == 300 << 20,
)
