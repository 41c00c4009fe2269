"""Ask for a resource that was not granted in a spelling that looks granted."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
async def attack(hand, given):
    return (await hand.kernel.call("neighbour.read", "mine/../theirs/secret")).value
""",
    stopped_by=("normal-forms", "grants"),
    refused="CallRefused resource",
    got=lambda found, given: found == {"read": "mine/../theirs/secret"},
)
