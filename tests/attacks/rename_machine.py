"""Rename the machine. The attack gives it the name that it has."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    name = os.uname().nodename.encode()
    return syscall("sethostname", name, len(name))
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == 0,
)
