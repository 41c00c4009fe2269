"""Send every process a signal: process group -1.

SIGURG, which a process that asks nothing about it never notices; the neighbour asks. Without layers the PID namespace
that is taken away is the run's own, not the template's, so that what is reached are Maniple's runs and nobody else.
"""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import signal

async def attack(hand, given):
    before = (await hand.kernel.call("neighbour.signals")).value
    os.kill(-1, signal.SIGURG)
    return (await hand.kernel.call("neighbour.signals")).value - before
""",
    stopped_by=("own-pid-namespace", "landlock", "user-id", "capabilities"),
    refused="ProcessLookupError 3",
    got=lambda found, given: found == 1,
)
