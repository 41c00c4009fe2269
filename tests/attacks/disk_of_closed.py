"""Fill the disk in a scratch folder whose mode shuts everybody out, its owner too, at every look."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import time

def attack(hand, given):
    for number in range(40):
        hand.scratch.chmod(0o700)
        (hand.scratch / str(number)).write_bytes(b"x" * 3_000_000)
        hand.scratch.chmod(0)
    time.sleep(3)
    hand.scratch.chmod(0o700)
    return sum(file.stat().st_size for file in hand.scratch.iterdir())
""",
    stopped_by=("watch",),
    refused="ended",
    got=lambda found, given: found == 120_000_000,
)
