"""Make another folder the root (chroot): the classical way out of a chroot."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    (hand.scratch / "below").mkdir()
    told, tell = os.pipe()
    if os.fork() == 0:
        try:
            os.chroot(hand.scratch)
            os.write(tell, os.listdir("/")[0].encode())
        except OSError as error:
            os.write(tell, bytes([error.errno]))
        os._exit(0)
    os.wait()
    heard = os.read(told, 16)
    if len(heard) == 1:
        raise OSError(heard[0], os.strerror(heard[0]))
    return heard
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == b"below",
    source="LTP, chroot",
)
