"""Take all memory by the heap: 300 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    kept = [bytearray(1 << 20) for _ in range(300)]
    return sum(map(len, kept))
""",
    stopped_by=("rlimits", "cgroup"),
    refused="MemoryError",
    stopped_for_user=("rlimits",),
    got=lambda found, given: found == 300 << 20,
)
