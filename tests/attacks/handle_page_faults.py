"""Stop the system in the middle of reading its memory (userfaultfd)."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return syscall("userfaultfd", 1)
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    got=lambda found, given: isinstance(found, int),
    source="the usual means to win a race with the system",
)
