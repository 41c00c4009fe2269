"""Read the key that makes one the operator, from the home."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(given["home"] + "/keys/operator.key") as file:
        return file.read()
""",
    stopped_by=("landlock", "user-id", "mount-namespace"),
    refused="FileNotFoundError 2",
    as_user="PermissionError 13",
    stopped_for_user=("landlock",),
    got=lambda found, given: len(str(found)) >= 40,
)
