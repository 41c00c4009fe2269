"""Subscribe to everything: three hundred subscriptions."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
async def attack(hand, given):
    for number in range(300):
        await hand.kernel.subscribe(f"neighbour.event-{number}")
    return 300
""",
    stopped_by=("subscriptions",),
    refused="CallRefused subscriptions",
    got=lambda found, given: found == 300,
    limits={"calls_per_minute": 1000},
)
