"""Lower the limits of the kernel's process. They are set to what they are: that they may be set is what is tried."""

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
    refused="PermissionError 1",
    got=lambda found, given: found == "set",
    source="LTP, prlimit64 and setrlimit",
)
