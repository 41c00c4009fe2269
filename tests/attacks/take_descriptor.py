"""Take a descriptor, such as the bus, from another run (pidfd_getfd)."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    return syscall("pidfd_getfd", syscall("pidfd_open", int(given["neighbour"]), 0), 1, 0)
""",
    stopped_by=("seccomp", "pid-namespace", "landlock", "user-id", "capabilities"),
    refused="PermissionError 1",
    got=lambda found, given: isinstance(found, int),
)
