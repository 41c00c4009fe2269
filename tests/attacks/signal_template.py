"""Send the template a signal.

SIGURG, which a process that asks nothing about it never notices: whether it may be sent is what is tried.
"""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import signal

def attack(hand, given):
    os.kill(int(given["template"]), signal.SIGURG)
    return "sent"
""",
    stopped_by=("pid-namespace", "landlock", "user-id"),
    refused="ProcessLookupError 3",
    stopped_for_user=("pid-namespace", "landlock"),
    got=lambda found, given: found == "sent",
)
