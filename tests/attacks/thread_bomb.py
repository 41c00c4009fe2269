"""Start threads without end: two hundred, with stacks too small for any memory limit."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import threading

def attack(hand, given):
    threading.stack_size(131072)  # the least that aarch64 takes
    release = threading.Event()
    made = 0
    try:
        for _ in range(200):
            threading.Thread(target=release.wait, daemon=True).start()
            made += 1
    finally:
        release.set()
    return made
""",
    stopped_by=("rlimits",),
    refused="RuntimeError",
    got=lambda found, given: found == 200,
)
