"""Hear every packet of this machine, by a packet socket."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket

def attack(hand, given):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as tap:
        tap.settimeout(2)
        tap.bind(("lo", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:  # stands for whoever else speaks there
            link.sendto(b"a secret", ("127.0.0.1", int(given["udp_port"])))
        while True:
            if tap.recv(256).endswith(b"a secret"):
                return "overheard"
""",
    stopped_by=("network-namespace", "seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "overheard",
    source="CVE-2020-14386 and its kin: packet sockets as a way into the system",
)
