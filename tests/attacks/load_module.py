"""Load code into the system: a real module in a guest; elsewhere an empty one, which the system refuses."""

from pathlib import Path

from tests.attacks.absent import absent
from tests.attacks.attack import Attack
from tests.attacks.expendable import real

ATTACK = Attack(
    code="""
def attack(hand, given):
    if not given["module"]:
        return past(8, "init_module", 0, 0, b"")
    with open(given["module"], "rb") as file:
        return syscall("finit_module", file.fileno(), b"", 0)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "past" or (found == 0 and "crc7 " in Path("/proc/modules").read_text()),
    extra=lambda given: {"module": real("crc7.ko")},
    needs=lambda: absent("init_module"),
)
