"""Call methods that only the operator may call: what this home grants, and by which keys."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
async def attack(hand, given):
    return (await hand.kernel.call("kernel.home")).value
""",
    stopped_by=("grants",),
    refused="CallRefused capability",
    got=lambda found, given: isinstance(found, dict) and "keys" in found,
)
