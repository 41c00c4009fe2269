"""Give the machine another name: one of less than no letters, which the system refuses as such."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return past(22, "sethostname", b"", -1)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "past",
)
