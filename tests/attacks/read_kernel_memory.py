"""Read the memory of the kernel's process, in which its keys are."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(f"/proc/{given['kernel']}/maps") as maps:
        start = int(next(line for line in maps if "[heap]" in line).split("-")[0], 16)
    with open(f"/proc/{given['kernel']}/mem", "rb") as memory:
        memory.seek(start)
        return len(memory.read(16))
""",
    stopped_by=("landlock", "user-id", "capabilities"),
    refused="PermissionError 13",
    got=lambda found, given: found == 16,
)
