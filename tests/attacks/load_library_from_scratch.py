"""Load native code that it wrote itself."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import msgspec._core

def attack(hand, given):
    with open(msgspec._core.__file__, "rb") as file:
        (hand.scratch / "own.so").write_bytes(file.read())
    return ctypes.CDLL(str(hand.scratch / "own.so"))._handle
""",
    stopped_by=("mount-namespace",),
    refused="OSError",
    stopped_for_user=("mount-namespace",),
    got=lambda found, given: isinstance(found, int),
)
