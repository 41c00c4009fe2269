"""Mount a file system over a folder of its own, in its own mount namespace."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    place = hand.scratch / "place"
    place.mkdir()
    syscall("mount", b"none", os.fsencode(place), b"tmpfs", 0, 0)
    return os.stat(place).st_dev != os.stat(hand.scratch).st_dev
""",
    stopped_by=("seccomp", "landlock", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found is True,
    source="Linux selftests, landlock/fs_test: topology_changes_with_net_and_fs",
)
