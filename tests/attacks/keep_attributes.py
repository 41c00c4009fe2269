"""Fill memory or disk by attributes of files, which some file systems count nowhere (tmpfs, btrfs): here by one."""

import os
import tempfile

from tests.attacks.attack import Attack


def _unable() -> str:
    """Whether files have such attributes where homes are."""
    with tempfile.TemporaryFile() as file:
        try:
            os.setxattr(file.fileno(), "user.x", b"x")
        except OSError as error:
            return f"files have no attributes here: {os.strerror(error.errno or 0)}"
    return ""


ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    with open(hand.scratch / "empty", "wb") as file:
        os.setxattr(file.fileno(), "user.x", bytes(1_000))
        return len(os.getxattr(file.fileno(), "user.x"))
""",
    stopped_by=("seccomp",),
    refused="OSError 95",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == 1_000,
    needs=_unable,
)
