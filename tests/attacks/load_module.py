"""Load code into the system (init_module): none, which the system refuses as such."""

from tests.attacks.absent import absent
from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return past(8, "init_module", 0, 0, b"")
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "past",
    needs=lambda: absent("init_module"),
)
