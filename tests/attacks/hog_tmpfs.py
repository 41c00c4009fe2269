"""Take all memory by files in memory: 64 MiB in /dev/shm, of which a run with programs has one of its own, of 8 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    written, paths = 0, [f"/dev/shm/maniple-attack-{hand.run_id}-{number}" for number in range(16)]
    try:
        for path in paths:
            with open(path, "wb") as file:
                written += file.write(bytes(4 << 20))
    finally:
        for path in filter(os.path.exists, paths):
            os.unlink(path)
    return written
""",
    stopped_by=("landlock", "mount-namespace"),
    refused="OSError 28",
    programs=True,
    got=lambda found, given: found == 64 << 20,
)
