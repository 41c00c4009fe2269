"""Load another system from its file (kexec): a whole one in a guest; elsewhere none, which the system refuses."""

from pathlib import Path

from tests.attacks.absent import absent
from tests.attacks.attack import Attack
from tests.attacks.expendable import real

ATTACK = Attack(
    code="""
def attack(hand, given):
    if not given["linux"]:
        return past(9, "kexec_file_load", -1, -1, 0, 0, 0)
    with open(given["linux"], "rb") as file:
        return syscall("kexec_file_load", file.fileno(), -1, 1, b"", 4)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "past" or (found == 0 and "1" in Path("/sys/kernel/kexec_loaded").read_text()),
    limits={"cpu": "15s"},  # the system counts its bytes as the run's work
    extra=lambda given: {"linux": real("linux")},
    needs=lambda: absent("kexec_file_load"),
)
