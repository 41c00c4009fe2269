"""Attach System V memory that other processes of this machine share."""

from tests.attacks.attack import Attack
from tests.attacks.prey import SHARED

ATTACK = Attack(
    code="""
import ctypes

def attack(hand, given):
    segment = syscall("shmget", int(given["shared_memory"]), 0, 0)
    libc.shmat.restype = ctypes.c_void_p
    return ctypes.string_at(libc.shmat(segment, None, 0), 17)
""",
    stopped_by=("ipc-namespace", "seccomp"),
    refused="PermissionError 1",
    stopped_for_user=("ipc-namespace", "seccomp"),
    got=lambda found, given: found == SHARED,
)
