"""Load another system (kexec): its first page in a guest; elsewhere too many pieces, which the system refuses."""

from pathlib import Path

from tests.attacks.absent import absent
from tests.attacks.attack import Attack
from tests.attacks.expendable import real

ATTACK = Attack(
    code="""
import ctypes, struct

def attack(hand, given):
    if not given["linux"]:
        return past(22, "kexec_load", 0, 17, 0, 0)
    page = open(given["linux"], "rb").read(4096)
    held = ctypes.create_string_buffer(page)
    piece = struct.pack("QQQQ", ctypes.addressof(held), len(page), 0x48000000, len(page))
    return syscall("kexec_load", 0x48000000, 1, piece, 0)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == "past" or (found == 0 and "1" in Path("/sys/kernel/kexec_loaded").read_text()),
    extra=lambda given: {"linux": real("linux")},
    needs=lambda: absent("kexec_load"),
)
