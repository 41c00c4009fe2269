"""Become root in a user namespace of its own, the door to most of the system's code."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import os
import struct

def attack(hand, given):
    told, tell = os.pipe()
    if os.fork() == 0:
        try:
            syscall("unshare", 0x1000_0000)
            held = ctypes.create_string_buffer(24)
            syscall("capget", struct.pack("=Ii", 0x2008_0522, 0), held)
            os.write(tell, held.raw[:4])
        except OSError as error:
            os.write(tell, bytes([error.errno]))
        os._exit(0)
    os.wait()
    heard = os.read(told, 16)
    if len(heard) == 1:
        raise OSError(heard[0], os.strerror(heard[0]))
    return heard != bytes(4)
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found is True,
    source="CVE-2022-0185 and its kin; LTP, unshare01 and userns",
)
