"""Call the kernel without end, whatever it answers: two hundred times, where thirty a minute are allowed."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
from runtime import CallRefused

async def attack(hand, given):
    answered = 0
    for _ in range(200):
        try:
            await hand.kernel.call("kernel.budget")
            answered += 1
        except CallRefused:
            pass
    return answered
""",
    stopped_by=("rates",),
    refused="ended",
    got=lambda found, given: found == 200,
    limits={"calls_per_minute": 30},
)
