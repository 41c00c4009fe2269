"""Take all memory by the stack, which does not count as data: raise its limit and write far below it, 100 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import resource

def attack(hand, given):
    most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (most, most))
    top = ctypes.c_void_p.in_dll(libc, "__libc_stack_end").value & ~4095
    for page in range(4 << 20, 100 << 20, 4096):
        ctypes.memset(top - page, 1, 1)
    return 100 << 20
""",
    stopped_by=("rlimits",),
    refused="ended",
    got=lambda found, given: found == 100 << 20,
)
