"""Start another system (kexec): with more segments than there can be, which the system refuses as such."""

from tests.attacks.absent import absent
from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return past(22, "kexec_load", 0, 17, 0, 0)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "past",
    needs=lambda: absent("kexec_load"),
)
