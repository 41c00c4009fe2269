"""Read a neighbour's memory through /proc/PID/mem."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(f"/proc/{given['neighbour']}/mem", "rb") as memory:
        memory.seek(id(object))
        return len(memory.read(16))
""",
    stopped_by=("landlock", "user-id", "capabilities"),
    refused="PermissionError 13",
    got=lambda found, given: found == 16,
    source="CVE-2012-0056, mempodipper",
)
