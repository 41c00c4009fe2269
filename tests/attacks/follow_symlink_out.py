"""Read a file outside through a symbolic link in the scratch folder."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    os.symlink("/etc/passwd", hand.scratch / "link")
    with open(hand.scratch / "link") as file:
        return file.readline()
""",
    stopped_by=("landlock",),
    refused="PermissionError 13",
    stopped_for_user=("landlock",),
    got=lambda found, given: str(found).startswith("root:"),
    source="Linux selftests, landlock/fs_test: layout1.relative_open and its kin",
)
