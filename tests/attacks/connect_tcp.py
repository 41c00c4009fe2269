"""Open a TCP connection to a server of this machine."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket

def attack(hand, given):
    with socket.create_connection(("127.0.0.1", int(given["port"])), timeout=5) as link:
        return link.recv(16).decode()
""",
    stopped_by=("network-namespace", "landlock", "seccomp"),
    refused="PermissionError 1",
    stopped_for_user=("network-namespace", "landlock", "seccomp"),
    got=lambda found, given: found == "welcome",
    source="Linux selftests, landlock/net_test: connect",
)
