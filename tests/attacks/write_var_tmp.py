"""Leave a file in /var/tmp, where everybody may write."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    path = "/var/tmp/maniple-attack-" + hand.run_id
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return "written"
""",
    stopped_by=("landlock", "mount-namespace"),
    refused="OSError 30",
    got=lambda found, given: found == "written",
)
