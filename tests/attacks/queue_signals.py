"""Take the system's memory by signals that wait, which count per user and not per process: 5,000."""

import resource

from tests.attacks.attack import Attack


def _unable() -> str:
    """Whether so many may wait at all."""
    most = resource.getrlimit(resource.RLIMIT_SIGPENDING)[0]
    return "" if most == resource.RLIM_INFINITY or most > 6_000 else f"here only {most} signals may wait (ulimit -i)"


ATTACK = Attack(
    code="""
import signal
import threading

def attack(hand, given):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
    for _ in range(5_000):
        signal.pthread_kill(threading.get_ident(), signal.SIGRTMIN)
    return 5_000
""",
    stopped_by=("rlimits",),
    refused="BlockingIOError 11",
    stopped_for_user=("rlimits",),
    got=lambda found, given: found == 5_000,
    needs=_unable,
)
