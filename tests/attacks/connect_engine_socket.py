"""Ask a container engine for a privileged container over its socket file, here a stand-in's."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket

def attack(hand, given):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(given["engine"])
        return link.recv(16).decode()
""",
    stopped_by=("seccomp", "user-id"),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == "welcome",
    source="containers with docker.sock inside",
)
