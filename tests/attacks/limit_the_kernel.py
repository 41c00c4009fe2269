"""Lower the limits of the kernel's process. The attack sets them to their present values."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import resource

def attack(hand, given):
    kernel = int(given["kernel"])
    resource.prlimit(kernel, resource.RLIMIT_NOFILE, resource.prlimit(kernel, resource.RLIMIT_NOFILE))
    return "set"
""",
    stopped_by=("seccomp", "pid-namespace", "user-id"),
    refused="OSError 38",
    got=lambda found, given: found == "set",
    source="LTP, prlimit64 and setrlimit",
)
