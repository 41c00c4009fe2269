"""Raise a limit that was set on it."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import resource

def attack(hand, given):
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
""",
    stopped_by=("rlimits",),
    refused="ValueError",
    got=lambda found, given: found == 1024,
    source="LTP, setrlimit02",
)
