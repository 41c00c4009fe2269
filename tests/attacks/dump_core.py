"""Leave a core file with all that it knows."""

from pathlib import Path

from tests.attacks.attack import Attack


def _is_piped() -> str:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    return "core files of this machine go to a program, or elsewhere" if set("|/") & set(pattern) else ""


ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    child = os.fork()
    if child == 0:
        os.abort()
    dumped = os.WCOREDUMP(os.waitpid(child, 0)[1])
    return dumped and [name for name in os.listdir() if name.startswith("core")]
""",
    stopped_by=("rlimits", "not-dumpable", "user-id"),
    refused="",
    stopped_for_user=("rlimits", "not-dumpable"),
    got=lambda found, given: bool(found),
    needs=_is_piped,
)
