"""Print without end: 64 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    return sum(os.write(1, bytes(1 << 20)) for _ in range(64))
""",
    stopped_by=("rlimits",),
    refused="OSError 27",
    got=lambda found, given: found == 64 << 20,
)
