"""Read what everybody may read of this machine, and a run needs not: who its users are."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open("/etc/passwd") as file:
        return file.readline()
""",
    stopped_by=("landlock",),
    refused="PermissionError 13",
    stopped_for_user=("landlock",),
    got=lambda found, given: str(found).startswith("root:"),
)
