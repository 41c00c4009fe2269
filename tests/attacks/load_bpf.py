"""Have the system run code of its own (bpf): it makes a map, the first step."""

from pathlib import Path

from tests.attacks.attack import Attack


def _is_open() -> str:
    switch = Path("/proc/sys/kernel/unprivileged_bpf_disabled")
    return "" if switch.exists() and switch.read_text() > "0" else "bpf is open to everybody here"


ATTACK = Attack(
    code="""
import struct

def attack(hand, given):
    return syscall("bpf", 0, struct.pack("=5I", 2, 4, 4, 1, 0) + bytes(52), 72)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: isinstance(found, int),
    needs=_is_open,
    source="CVE-2021-3490 and its kin",
)
