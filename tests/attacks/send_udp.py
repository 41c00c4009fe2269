"""Speak UDP with a server of this machine, as every name lookup that carries secrets out does."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket

def attack(hand, given):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(2)
        link.sendto(b"hello", ("127.0.0.1", int(given["udp_port"])))
        return link.recv(16).decode()
""",
    stopped_by=("network-namespace", "seccomp"),
    refused="PermissionError 1",
    stopped_for_user=("network-namespace", "seccomp"),
    got=lambda found, given: found == "welcome",
)
