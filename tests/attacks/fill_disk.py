"""Fill the disk with one file: 64 MiB, here."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(hand.scratch / "large", "wb") as file:
        return sum(file.write(bytes(1 << 20)) for _ in range(64))
""",
    stopped_by=("rlimits",),
    refused="OSError 27",
    stopped_for_user=("rlimits",),
    got=lambda found, given: found == 64 << 20,
)
