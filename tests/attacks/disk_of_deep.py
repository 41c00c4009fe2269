"""Fill the disk below fifteen hundred nested folders, too deep to measure or remove by recursion."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import time

def attack(hand, given):
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    for number in range(40):
        with open(str(number), "wb") as file:
            file.write(b"x" * 3_000_000)
    time.sleep(3)
    size = 0
    for name in os.listdir():
        size += os.stat(name).st_size
        os.unlink(name)
    for _ in range(1500):  # who removes what a weakened kernel leaves should not stumble over it
        os.chdir("..")
        os.rmdir("d")
    return size
""",
    stopped_by=("watch",),
    refused="ended",
    got=lambda found, given: found == 120_000_000,
)
