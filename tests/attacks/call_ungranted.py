"""Call a neighbour's method on a resource that was not granted."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
async def attack(hand, given):
    return (await hand.kernel.call("neighbour.read", "theirs/secret")).value
""",
    stopped_by=("grants",),
    refused="CallRefused capability",
    got=lambda found, given: found == {"read": "theirs/secret"},
)
