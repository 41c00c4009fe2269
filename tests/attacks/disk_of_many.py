"""Fill the disk with many files, each below the limit of one."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import time

def attack(hand, given):
    for number in range(40):
        (hand.scratch / str(number)).write_bytes(b"x" * 3_000_000)
    time.sleep(3)
    return sum(file.stat().st_size for file in hand.scratch.iterdir())
""",
    stopped_by=("watch",),
    refused="ended",
    got=lambda found, given: found == 120_000_000,
)
