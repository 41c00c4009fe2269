"""Leave a file in /tmp, where everybody may write."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    path = "/tmp/maniple-attack-" + hand.run_id
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return "written"
""",
    stopped_by=("landlock", "mount-namespace"),
    refused="OSError 30",
    stopped_for_user=("landlock", "mount-namespace"),
    got=lambda found, given: found == "written",
)
