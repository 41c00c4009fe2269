"""Open /dev/kmsg, which tells where things lie in the system's memory."""

from pathlib import Path

from tests.attacks.attack import Attack


def _is_open() -> str:
    restricted = Path("/proc/sys/kernel/dmesg_restrict").read_text().strip() == "1"
    return "" if restricted else "this machine shows its log to everybody, so that Landlock alone stops it"


ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    return os.read(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK), 8192)
""",
    stopped_by=("landlock", "user-id", "capabilities"),
    refused="PermissionError 13",
    got=lambda found, given: bool(found),
    needs=_is_open,
)
