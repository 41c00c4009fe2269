"""Hide a file from the limit of disk: without a name, in no process, on its way through a socket that every run has."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import array
import asyncio
import os
import socket

def attack(hand, given):
    loop = asyncio.get_event_loop()
    file = os.open("hidden", os.O_RDWR | os.O_CREAT)
    os.unlink("hidden")
    os.write(file, b"hidden")
    loop._csock.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])
    os.close(file)
    _, ((_, _, taken),), *_ = loop._ssock.recvmsg(1, socket.CMSG_SPACE(4))
    return os.pread(array.array("i", taken)[0], 6, 0).decode()
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == "hidden",
    source="CVE-2021-0920 and its kin: descriptors in transit as a way into the system",
)
