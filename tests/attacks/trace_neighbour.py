"""Trace another run (ptrace), by PTRACE_SEIZE, which does not stop it and ends with the tracer."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    return syscall("ptrace", 0x4206, int(given["neighbour"]), 0, 0)
""",
    stopped_by=("seccomp", "pid-namespace", "landlock", "user-id", "capabilities"),
    refused="PermissionError 1",
    got=lambda found, given: found == 0,
    source="Linux selftests, landlock/ptrace_test",
)
