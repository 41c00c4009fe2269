"""Fill the disk with one file: 32 MiB."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(hand.scratch / "large", "wb") as file:
        return sum(file.write(bytes(1 << 20)) for _ in range(32))
""",
    stopped_by=("rlimits",),
    refused="OSError 27",
    stopped_for_user=("rlimits",),
    got=lambda found, given: found == 32 << 20,
)
