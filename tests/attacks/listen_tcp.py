"""Wait for TCP connections from this machine."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket

def attack(hand, given):
    with socket.socket() as server, socket.socket() as guest:
        server.bind(("127.0.0.1", 0))
        server.listen()
        guest.connect(server.getsockname())
        return "connected"
""",
    stopped_by=("network-namespace", "landlock", "seccomp"),
    refused="PermissionError 1",
    got=lambda found, given: found == "connected",
    source="Linux selftests, landlock/net_test: bind",
)
