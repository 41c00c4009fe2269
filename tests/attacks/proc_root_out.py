"""Leave through /proc/PID/root of a process that sees more: the kernel's, to the operator's key."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(f"/proc/{given['kernel']}/root{given['home']}/keys/operator.key") as file:
        return file.read()
""",
    stopped_by=("landlock", "user-id", "capabilities"),
    refused="PermissionError 13",
    got=lambda found, given: len(str(found)) >= 40,
)
