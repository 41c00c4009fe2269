"""Make a socket to the machine that hosts this one (vsock). It does not connect."""

import socket

from tests.attacks.attack import Attack


def _has_none() -> str:
    try:
        socket.socket(40, socket.SOCK_STREAM).close()
    except OSError as error:
        return f"this Linux has no vsock: {error}"
    return ""


ATTACK = Attack(
    code="""
import socket

def attack(hand, given):
    with socket.socket(40, socket.SOCK_STREAM):
        return "opened"
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    got=lambda found, given: found == "opened",
    needs=_has_none,
    source="CVE-2021-26708: vsock as a way into the system",
)
