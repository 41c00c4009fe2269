"""Measure the processor (perf_event_open), by which others' secrets are read."""

from pathlib import Path

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import struct

def attack(hand, given):
    attributes = struct.pack("=IIQ", 1, 128, 0) + bytes(24) + struct.pack("=Q", 1 << 5 | 1 << 6) + bytes(80)
    return syscall("perf_event_open", attributes, 0, -1, -1, 0)
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    got=lambda found, given: isinstance(found, int),
    needs=lambda: (
        "" if int(Path("/proc/sys/kernel/perf_event_paranoid").read_text()) < 3 else "this machine lets no user measure"
    ),
    source="CVE-2013-2094",
)
