"""Read another Hand's `state/` folder."""

from tests.attacks.attack import Attack
from tests.attacks.neighbour import SECRET

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(given["neighbour_state"] + "/secret") as file:
        return file.read()
""",
    stopped_by=("landlock", "user-id", "capabilities"),
    refused="PermissionError 13",
    stopped_for_user=("landlock",),
    got=lambda found, given: found == SECRET,
)
