"""Read a file of this machine that only root may read."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open("/etc/shadow") as file:
        return file.readline()
""",
    stopped_by=("landlock", "user-id"),
    refused="PermissionError 13",
    got=lambda found, given: str(found).count(":") > 3,
)
