"""Switch the machine off, with wrong magic numbers, which the system refuses."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return past(22, "reboot", 0, 0, 0, 0)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "past",
)
