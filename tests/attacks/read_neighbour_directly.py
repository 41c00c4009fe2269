"""Read another run's memory by process_vm_readv."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes

class Piece(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("size", ctypes.c_size_t)]

def attack(hand, given):
    kept = ctypes.create_string_buffer(16)
    here, there = Piece(ctypes.addressof(kept), 16), Piece(id(object), 16)
    return syscall("process_vm_readv", int(given["neighbour"]), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
""",
    stopped_by=("seccomp", "pid-namespace", "landlock", "user-id", "capabilities"),
    refused="PermissionError 1",
    got=lambda found, given: found == 16,
    source="LTP, process_vm_readv02",
)
