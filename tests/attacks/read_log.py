"""Read the log: what everybody did, and the keys of its digests."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    folder = given["home"] + "/log/entries"
    with open(os.path.join(folder, "000000.jsonl")) as file:
        return file.readline()
""",
    stopped_by=("landlock", "user-id", "mount-namespace"),
    refused="FileNotFoundError 2",
    as_user="PermissionError 13",
    stopped_for_user=("landlock",),
    got=lambda found, given: "kernel" in str(found),
)
