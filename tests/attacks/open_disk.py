"""Read a disk directly, past the mode of every file on it."""

import os

from tests.attacks.attack import Attack, Given

DISKS = ("/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0", "/dev/ram0")


def _disk() -> str:
    """One that root may read here: containers are often kept from all of them."""
    for path in DISKS:
        try:
            os.close(os.open(path, os.O_RDONLY))
        except OSError:
            continue
        return path
    return ""


def _extra(_: Given) -> dict[str, str]:
    return {"disk": _disk() or next(filter(os.path.exists, DISKS), "/dev/null/none")}


ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    return os.open(given["disk"], os.O_RDONLY)
""",
    stopped_by=("landlock", "user-id"),
    refused="PermissionError 13",
    got=lambda found, given: isinstance(found, int),
    extra=_extra,
    needs=lambda: "" if _disk() else "this machine lets nobody read a disk, not even root",
)
