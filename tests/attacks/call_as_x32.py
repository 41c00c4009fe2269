"""Make a system call by the numbers of another convention, which a careless filter takes for something else."""

import platform

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return past(38, 0x4000_0000 + 39)
""",
    stopped_by=("seccomp",),
    refused="ended",
    got=lambda found, given: found == "past" or isinstance(found, int),
    needs=lambda: "" if platform.machine() == "x86_64" else "only x86-64 has the convention x32",
    source="Linux selftests, seccomp_bpf: arch checks; CVE-2009-0835",
)
