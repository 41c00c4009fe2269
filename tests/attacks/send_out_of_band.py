"""Send a byte past a stream's order (MSG_OOB) on a socket that every run has: little-used code of the system's."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import asyncio
import socket

def attack(hand, given):
    return asyncio.get_event_loop()._csock.send(b"x", socket.MSG_OOB)
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == 1,
    source="CVE-2025-38236: from a browser's sandbox into the system",
)
