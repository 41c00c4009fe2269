"""Fork without end: two hundred times."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    hold, release = os.pipe()
    made = 0
    try:
        for _ in range(200):
            if os.fork() == 0:
                os.close(release)
                os.read(hold, 1)
                os._exit(0)
            made += 1
    finally:
        os.close(release)
    return made
""",
    stopped_by=("rlimits", "cgroup"),
    refused="BlockingIOError 11",
    stopped_for_user=("rlimits",),
    got=lambda found, given: found == 200,
)
