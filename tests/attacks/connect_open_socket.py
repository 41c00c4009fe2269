"""Speak to a service of this machine over a socket file open to everybody, such as the system's bus."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket

def attack(hand, given):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(given["open_socket"])
        return link.recv(16).decode()
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == "welcome",
)
