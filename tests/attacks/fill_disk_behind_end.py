"""Fill the disk behind a file's end (fallocate): 32 MiB, which no limit of a file's size sees, in one call."""

import os
import tempfile

from tests.attacks.attack import Attack
from tests.kernel.filtered import call

KEEP_SIZE = 1


def _unable() -> str:
    """Whether the disk of homes can allocate so at all."""
    with tempfile.TemporaryFile() as file:
        try:
            call("fallocate", file.fileno(), KEEP_SIZE, 0, 4096)
        except OSError as error:
            return f"this disk allocates nothing behind a file's end: {os.strerror(error.errno or 0)}"
    return ""


ATTACK = Attack(
    code=f"""
import os

def attack(hand, given):
    with open(hand.scratch / "large", "wb") as file:
        syscall("fallocate", file.fileno(), {KEEP_SIZE}, 0, 32 << 20)
        return os.fstat(file.fileno()).st_blocks * 512
""",
    stopped_by=("seccomp",),
    refused="OSError 95",
    stopped_for_user=("seccomp",),
    got=lambda found, given: isinstance(found, int) and found >= 32 << 20,
    needs=_unable,
)
