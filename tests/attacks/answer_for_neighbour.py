"""Answer in another's place: end a call that is open at the neighbour, by its number."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import asyncio
import gc

from wire import codec, headers

async def attack(hand, given):
    (serving,) = [one for one in gc.get_objects() if type(one).__name__ == "Serving"]
    own = next(iter(serving._open))
    asked = asyncio.create_task(hand.kernel.call("neighbour.hold", milliseconds=300))
    await asyncio.sleep(0.1)
    for number in range(own + 1, own + 40):
        hand.kernel._calls._link.send(headers.Done(number=number), codec.encode_body("forged"))
    return (await asked).value
""",
    stopped_by=("provider-check",),
    refused="",
    got=lambda found, given: found == "forged",
)
