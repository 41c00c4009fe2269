"""Use more memory than declared by many processes, each below the limit."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os, time

def attack(hand, given):
    hogs = [hog() for _ in range(4)]
    for _, told in hogs:
        os.read(told, 1)  # it holds its share, or has died
    for _ in range(25):  # time for whoever looks only now and then
        if any(os.waitpid(pid, os.WNOHANG) != (0, 0) for pid, _ in hogs):
            raise MemoryError  # it was ended by the system
        time.sleep(0.1)
    return len(hogs)

def hog():
    told, tell = os.pipe()
    if pid := os.fork():
        os.close(tell)
        return pid, told
    held = bytearray(60 * 1024 * 1024)
    for place in range(0, len(held), 4096):
        held[place] = 1
    os.write(tell, b"x")
    time.sleep(60)
    os._exit(0)
""",
    stopped_by=("cgroup",),
    refused="MemoryError",
    as_user="ended",
    stopped_for_user=("watch",),
    got=lambda found, given: found == 4,
)
