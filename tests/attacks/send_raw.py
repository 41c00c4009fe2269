"""Write its own IP packets and read others': raw sockets."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket
import struct

def attack(hand, given):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as link:
        link.settimeout(2)
        datagram = struct.pack("!HHHH", 40_404, int(given["udp_port"]), 8 + 5, 0) + b"hello"
        link.sendto(datagram, ("127.0.0.1", 0))
        while True:
            heard = link.recv(128)[28:]
            if heard == b"welcome":
                return "heard what was for a port that is not its own"
""",
    stopped_by=("network-namespace", "seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: str(found).startswith("heard"),
)
