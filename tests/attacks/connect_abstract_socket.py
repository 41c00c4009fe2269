"""Speak to a service of this machine over an abstract socket, which has a name and no file."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket

def attack(hand, given):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(chr(0) + given["abstract"])
        return link.recv(16).decode()
""",
    stopped_by=("network-namespace", "landlock", "seccomp"),
    refused="PermissionError 1",
    stopped_for_user=("network-namespace", "landlock", "seccomp"),
    got=lambda found, given: found == "welcome",
    source="CVE-2020-15257, containerd-shim; Linux selftests, landlock/scoped_abstract_unix_test",
)
