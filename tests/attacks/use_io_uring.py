"""Have the system make calls that no filter sees (io_uring)."""

from pathlib import Path

from tests.attacks.attack import Attack


def _is_off() -> str:
    switch = Path("/proc/sys/kernel/io_uring_disabled")
    return "" if not switch.exists() or switch.read_text().strip() == "0" else "this machine has io_uring switched off"


ATTACK = Attack(
    code="""
import ctypes

def attack(hand, given):
    return syscall("io_uring_setup", 4, ctypes.create_string_buffer(120))
""",
    stopped_by=("seccomp",),
    refused="OSError 38",
    got=lambda found, given: isinstance(found, int),
    needs=_is_off,
    source="CVE-2022-29582 and its kin",
)
