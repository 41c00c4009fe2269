"""Fill the disk before the next check, by space that is allocated and not written (fallocate): here 48 MiB in a moment."""

import os
import tempfile

from tests.attacks.attack import Attack
from tests.kernel.filtered import call


def _unable() -> str:
    """Whether the disk of homes can allocate so at all."""
    with tempfile.TemporaryFile() as file:
        try:
            call("fallocate", file.fileno(), 0, 0, 4096)
        except OSError as error:
            return f"this disk allocates no space in advance: {os.strerror(error.errno or 0)}"
    return ""


ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    room = 0
    for number in range(12):
        with open(hand.scratch / f"large-{number}", "wb") as file:
            syscall("fallocate", file.fileno(), 0, 0, 4 << 20)
            room += os.fstat(file.fileno()).st_blocks * 512
    return room
""",
    stopped_by=("seccomp",),
    refused="OSError 95",
    stopped_for_user=("seccomp",),
    got=lambda found, given: isinstance(found, int) and found >= 48 << 20,
    needs=_unable,
)
