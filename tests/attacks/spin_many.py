"""Use more processor time than declared by many processes, one after the other: three seconds in all."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os, time

def attack(hand, given):
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            while time.process_time() < 0.8:
                pass
            os._exit(0)
        os.waitpid(pid, 0)
    return "as long as it likes"
""",
    stopped_by=("watch",),
    refused="ended",
    got=lambda found, given: found == "as long as it likes",
)
