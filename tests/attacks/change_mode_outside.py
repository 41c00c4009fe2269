"""Open another's file to everybody: chmod needs no descriptor, and Landlock does not decide about it."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    mode = os.stat(given["mine"]).st_mode
    os.chmod(given["mine"], 0o666)
    os.chmod(given["mine"], mode)
    return "changed"
""",
    stopped_by=("user-id", "mount-namespace"),
    refused="OSError 30",
    stopped_for_user=("mount-namespace",),
    got=lambda found, given: found == "changed",
)
