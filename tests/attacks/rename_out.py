"""Move a file out of its scratch folder, to a name that a later run's folder could have."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    (hand.scratch / "mine").write_text("x")
    there = given["home"] + "/scratch/r-forged"
    os.rename(hand.scratch / "mine", there)
    os.unlink(there)
    return "moved"
""",
    stopped_by=("landlock", "mount-namespace", "user-id"),
    refused="OSError 18",
    stopped_for_user=("landlock", "mount-namespace"),
    got=lambda found, given: found == "moved",
    source="Linux selftests, landlock/fs_test: reparent_rename",
)
