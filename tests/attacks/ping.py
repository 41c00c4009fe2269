"""Ping this machine: ICMP carries data out where only TCP and UDP are watched."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket
import struct

def attack(hand, given):
    def checksum(raw):
        total = sum(struct.unpack(f"!{len(raw) // 2}H", raw))
        total = (total & 0xFFFF) + (total >> 16)
        return ~(total + (total >> 16)) & 0xFFFF

    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as link:
        link.settimeout(2)
        body = struct.pack("!HH", 4711, 1) + b"by ping!"
        echo = struct.pack("!BBH", 8, 0, checksum(b"\\x08\\0\\0\\0" + body)) + body
        link.sendto(echo, ("127.0.0.1", 0))
        while True:
            heard = link.recv(128)[20:]
            if heard[0] == 0 and heard.endswith(b"by ping!"):
                return "answered"
""",
    stopped_by=("network-namespace", "seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "answered",
)
