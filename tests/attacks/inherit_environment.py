"""Find anything in its environment, such as what the kernel was started with."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    return {**os.environ}
""",
    stopped_by=("environment",),
    refused="",
    got=lambda found, given: bool(found),
)
