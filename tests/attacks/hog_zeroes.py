"""Take all memory by /dev/zero, mapped shared, which counts against no limit of a process: 300 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import mmap
import os

def attack(hand, given):
    memory = mmap.mmap(os.open("/dev/zero", os.O_RDWR), 300 << 20)
    for page in range(0, len(memory), mmap.PAGESIZE):
        memory[page] = 1
    return len(memory)
""",
    stopped_by=("landlock", "cgroup"),
    refused="PermissionError 13",
    got=lambda found, given: found == 300 << 20,
)
