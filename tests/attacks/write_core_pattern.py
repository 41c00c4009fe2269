"""Have the system run a program as root: open /proc/sys/kernel/core_pattern for writing, and write nothing."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    return os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)
""",
    stopped_by=("landlock", "user-id", "mount-namespace"),
    refused="PermissionError 13",
    got=lambda found, given: isinstance(found, int),
    source="CVE-2022-0492 and its kin: release_agent, core_pattern, uevent_helper",
)
