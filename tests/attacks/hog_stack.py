"""Take all memory by a mapping that grows downwards, which the system counts as stack and not as data: 300 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import mmap

def attack(hand, given):
    grows_down = 0x100
    memory = mmap.mmap(-1, 300 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | grows_down)
    for page in range(0, len(memory), mmap.PAGESIZE):
        memory[page] = 1
    return len(memory)
""",
    stopped_by=("seccomp", "cgroup"),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == 300 << 20,
)
