"""Hold a call for ever, so that its caller waits: 1.5 seconds, where one is allowed."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import asyncio

async def attack(hand, given):
    await asyncio.sleep(1.5)
    return "held"
""",
    stopped_by=("deadlines",),
    refused="deadline",
    got=lambda found, given: found == "held",
    limits={"wall": "1s"},
)
