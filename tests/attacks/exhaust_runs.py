"""Start runs without end: twenty-four, where sixteen are allowed at once."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
async def attack(hand, given):
    return len([await hand.kernel.spawn("bystander") for _ in range(24)])
""",
    stopped_by=("in-flight",),
    refused="CallRefused in_flight",
    got=lambda found, given: found == 24,
)
