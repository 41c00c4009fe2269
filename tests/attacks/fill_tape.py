"""Fill the disk by replies, which the kernel keeps on the tape of the run: 4 MB, where 2 MiB are allowed."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import asyncio

async def attack(hand, given):
    for _ in range(4):
        await hand.kernel.call("neighbour.say", "", {"text": "x" * 1_000_000})
    for _ in range(15):  # time for whoever looks only now and then
        await asyncio.sleep(0.1)
    return "filled"
""",
    stopped_by=("watch",),
    refused="ended",
    stopped_for_user=("watch",),
    got=lambda found, given: found == "filled",
    limits={"disk": "2MiB"},
)
