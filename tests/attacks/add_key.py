"""Keep a key in the system's key rings, which belong to a user and not to a run."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return syscall("add_key", b"user", b"maniple-attack", b"x", 1, -2)  # in the process's own ring, gone with it
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    got=lambda found, given: isinstance(found, int) and found > 0,
    source="CVE-2016-0728",
)
