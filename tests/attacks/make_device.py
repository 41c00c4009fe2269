"""Make a device of its own, the system's log, and read it."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import stat

def attack(hand, given):
    os.mknod(hand.scratch / "log", stat.S_IFCHR | 0o600, os.makedev(1, 11))
    return os.read(os.open(hand.scratch / "log", os.O_RDONLY | os.O_NONBLOCK), 8192)
""",
    stopped_by=("seccomp", "landlock", "mount-namespace", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: bool(found),
    source="Linux selftests, landlock/fs_test: make_char, make_block",
)
