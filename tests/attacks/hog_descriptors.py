"""Open descriptors without end: a thousand."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return len([open("/dev/null") for _ in range(1000)])
""",
    stopped_by=("rlimits",),
    refused="OSError 24",
    stopped_for_user=("rlimits",),
    got=lambda found, given: found == 1000,
)
