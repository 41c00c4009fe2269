"""Read the memory of the template it was forked from."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(f"/proc/{given['template']}/mem", "rb") as memory:
        memory.seek(id(hand.__class__.__mro__[-1]))  # `object`, which lies where it lay before the fork
        return len(memory.read(16))
""",
    stopped_by=("landlock", "user-id", "capabilities"),
    refused="PermissionError 13",
    got=lambda found, given: found == 16,
)
