"""Learn what others' memory holds: have the system merge equal pages (MADV_MERGEABLE), and time when one is split again."""

from pathlib import Path

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import mmap

def attack(hand, given):
    mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).madvise(12)
    return "will be merged"
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == "will be merged",
    needs=lambda: "" if Path("/sys/kernel/mm/ksm").exists() else "this Linux was built without merging of memory",
    source="CVE-2015-2877: what other machines of a host hold",
)
