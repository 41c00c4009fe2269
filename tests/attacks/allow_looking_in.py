"""Become dumpable again, so that others can read its memory and core files."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    syscall("prctl", 4, 1, 0, 0, 0)
    return syscall("prctl", 3, 0, 0, 0, 0)
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    got=lambda found, given: found == 1,
)
