"""Give a file outside a second name in the scratch folder, and read it there."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    os.link(given["home"] + "/keys/operator.key", hand.scratch / "key")
    with open(hand.scratch / "key") as file:
        return file.read()
""",
    stopped_by=("landlock", "user-id", "mount-namespace"),
    refused="FileNotFoundError 2",
    as_user="OSError 18",
    stopped_for_user=("landlock", "mount-namespace"),
    got=lambda found, given: len(str(found)) >= 40,
    source="Linux selftests, landlock/fs_test: reparent_link",
)
