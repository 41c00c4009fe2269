"""Use more memory than declared by sharing it out among processes, each of which stays below the limit."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os, time

def attack(hand, given):
    told, tell = os.pipe()
    for _ in range(4):
        if os.fork() == 0:
            hog = bytearray(60 * 1024 * 1024)
            for place in range(0, len(hog), 4096):
                hog[place] = 1
            os.write(tell, b"x")
            time.sleep(5)
            os._exit(0)
    os.close(tell)
    held = 0
    while held < 4 and os.read(told, 1):
        held += 1
    time.sleep(2.5)  # time for whoever looks only now and then
    if held < 4:
        raise MemoryError  # the others were ended by the system
    return held
""",
    stopped_by=("cgroup",),
    refused="MemoryError",
    as_user="ended",
    stopped_for_user=("watch",),
    got=lambda found, given: found == 4,
)
