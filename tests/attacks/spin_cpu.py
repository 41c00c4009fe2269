"""Compute for ever and ignore the signal that says stop: three seconds of processor time."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import signal
import time

def attack(hand, given):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while time.process_time() < 3:
        pass
    return time.process_time()
""",
    stopped_by=("rlimits", "watch"),
    refused="ended",
    got=lambda found, given: isinstance(found, float),
)
