"""Fill the disk with empty files: they take no blocks, but a disk holds only so many files."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import time

def attack(hand, given):
    for number in range(4096):
        os.close(os.open(str(number), os.O_CREAT))
    time.sleep(3)
    return len(os.listdir())
""",
    limits={"disk": "8MiB"},
    stopped_by=("watch",),
    refused="ended",
    got=lambda found, given: found == 4096,
)
