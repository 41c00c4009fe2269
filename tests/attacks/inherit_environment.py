"""Find what the kernel was started with in its own environment."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    return os.environ["MANIPLE_SECRET_KERNEL_LAYERS"]
""",
    stopped_by=("environment",),
    refused="KeyError",
    got=lambda found, given: found == "what only the kernel knows",
)
