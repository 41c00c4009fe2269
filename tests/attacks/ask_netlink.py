"""Ask the system who listens on which port, over a netlink socket."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import socket
import struct

def attack(hand, given):
    request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 1 << 10) + bytes(48)  # those that listen
    message = struct.pack("=IHHII", 16 + len(request), 20, 0x301, 1, 0) + request  # SOCK_DIAG_BY_FAMILY, a dump
    ports = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as link:
        link.settimeout(2)
        link.sendto(message, (0, 0))
        while True:
            heard = link.recv(65536)
            while heard:
                length, kind = struct.unpack_from("=IH", heard)
                if kind == 3:
                    return ports
                if kind == 2:
                    raise OSError(-struct.unpack_from("=i", heard, 16)[0], "netlink")
                ports.append(struct.unpack_from("!H", heard, 20)[0])
                heard = heard[(length + 3) & ~3 :]
""",
    stopped_by=("network-namespace", "seccomp"),
    refused="PermissionError 1",
    got=lambda found, given: isinstance(found, list) and int(given["port"]) in found,
)
