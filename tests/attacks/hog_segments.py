"""Take all memory by System V segments, which outlive their maker: 64 MiB, removed afterwards."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    segment = syscall("shmget", 0, 64 << 20, 0o1600)
    syscall("shmctl", segment, 0, 0)
    return 64 << 20
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    got=lambda found, given: found == 64 << 20,
)
