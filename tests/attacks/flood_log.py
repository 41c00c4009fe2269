"""Fill the log with notes: two hundred, where thirty calls a minute are allowed."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
async def attack(hand, given):
    for number in range(200):
        await hand.kernel.note(f"noise {number}")
    return 200
""",
    stopped_by=("rates",),
    refused="CallRefused rate",
    got=lambda found, given: found == 200,
    limits={"calls_per_minute": 30},
)
