"""Outlive its run: fork twice and sleep, three seconds."""

from tests.attacks.attack import Attack, Given
from tests.system import fates
from wire.codec import Value


def _lives_on(found: Value, given: Given) -> bool:
    """Whether it is among the kernel's: it tells its number as its own namespace counts, this machine's if it has none."""
    assert isinstance(found, bytes)
    left = [one for one in fates.living(fates.under(int(given["kernel"]))) if one.pid == int(found)]
    for one in left:
        one.kill()
    return bool(left)


ATTACK = Attack(
    code="""
import os
import time

def attack(hand, given):
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            try:
                os.setsid()
            except PermissionError:
                pass  # then in the session that it has
            os.write(tell, str(os.getpid()).encode())
            time.sleep(3)
        os._exit(0)
    os.waitpid(child, 0)
    return os.read(told, 16)
""",
    stopped_by=("pid-namespace",),
    refused="",
    stopped_for_user=("pid-namespace",),
    got=_lives_on,
)
