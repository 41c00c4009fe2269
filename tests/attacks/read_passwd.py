"""Read a file open to everybody that a run does not need: the users of this machine."""

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
