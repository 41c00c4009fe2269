"""Hold too many calls open: sixty at once, where sixteen are allowed."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import asyncio

from runtime.calls import Outgoing
from wire import codec, headers

async def attack(hand, given):
    calls, opened = hand.kernel._calls, []
    for number in range(10_001, 10_121, 2):
        calls._link.send(headers.Call(number=number, method="neighbour.hold"), codec.encode_body({"milliseconds": 300}))
        calls._open[number] = Outgoing(number, upload=False, streamed=False, placed=False)
        opened.append(calls._open[number])
    while any(one.end is None for one in opened):
        await asyncio.sleep(0.02)
    return sum(isinstance(one.end[0], headers.Done) for one in opened)
""",
    stopped_by=("in-flight",),
    refused="",
    got=lambda found, given: found == 60,
)
