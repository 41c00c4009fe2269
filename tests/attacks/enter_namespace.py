"""Enter the kernel's network namespace, and connect to the network of this machine."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import socket

def attack(hand, given):
    syscall("setns", os.open(f"/proc/{given['kernel']}/ns/net", os.O_RDONLY), 0x4000_0000)
    with socket.create_connection(("127.0.0.1", int(given["port"])), timeout=5) as link:
        return link.recv(16).decode()
""",
    stopped_by=("seccomp", "landlock", "capabilities", "user-id"),
    refused="PermissionError 13",
    got=lambda found, given: found == "welcome",
    source="LTP, setns01; CVE-2016-9962",
)
