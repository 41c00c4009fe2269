"""Type into a person's terminal (TIOCSTI)."""

from pathlib import Path

from tests.attacks.attack import Attack


def _is_gone() -> str:
    switch = Path("/proc/sys/dev/tty/legacy_tiocsti")
    return "" if not switch.exists() or switch.read_text().strip() == "1" else "this Linux types for nobody any more"


ATTACK = Attack(
    code="""
import fcntl
import os

def attack(hand, given):
    terminal = os.open(given["terminal"], os.O_RDWR)
    for letter in b"ls\\n":
        fcntl.ioctl(terminal, 0x5412, bytes([letter]))
    return os.read(terminal, 8)
""",
    stopped_by=("landlock", "user-id", "seccomp"),
    refused="PermissionError 13",
    got=lambda found, given: found == b"ls\n",
    needs=_is_gone,
    source="CVE-2017-5226, bubblewrap; CVE-2023-1523, snapd",
)
