"""Speak to the kernel as the template, over a descriptor that was left open."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import socket
import stat

def attack(hand, given):
    found = []
    for descriptor in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                kind = socket.socket(fileno=os.dup(descriptor)).getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
                found += [descriptor] * (kind == socket.SOCK_SEQPACKET)
        except OSError:
            continue
    return found
""",
    stopped_by=("descriptors",),
    refused="",
    got=lambda found, given: bool(found),
    source="CVE-2024-21626, runc: leaked descriptors",
)
