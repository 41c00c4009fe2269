"""Make a system call by the numbers of another convention, which a careless filter mistakes for another call."""

import platform

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    number = 0x4000_0000 + 39  # getpid; on aarch64 nothing
    return past(38, number) if os.uname().machine == "x86_64" else syscall(number)
""",
    stopped_by=("seccomp",),
    refused="ended",
    on_aarch64="OSError 38",
    got=lambda found, given: found == "past" or isinstance(found, int),
    needs=lambda: "" if platform.machine() == "x86_64" else "only x86-64 has the convention x32",
    source="Linux selftests, seccomp_bpf: arch checks; CVE-2009-0835",
)
